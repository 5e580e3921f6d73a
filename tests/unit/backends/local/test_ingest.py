from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from unit.backends.local.rig import REPO, described, expect, process, put, reader, tree

from cachexport.backends.local.ingest import STALE_AFTER, LayoutIngester
from cachexport.backends.local.layout import Layout
from cachexport.errors import Conflict, FailedPrecondition
from cachexport.testing.services import lacking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOB = described(b"blob")
MARK = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}

INGEST_HALF = """
import sys
from pathlib import Path
from cachexport.backends.local.ingest import LayoutIngester
from cachexport.backends.local.layout import Layout
from unit.backends.local.rig import described

class Endless:
    def read(self, size):
        if not self.__dict__.setdefault("began", False):
            self.began = True
            return b"blob"[:2]
        print("half", flush=True)
        sys.stdin.readline()

LayoutIngester(Layout(Path(sys.argv[1]))).ingest(described(b"blob"), Endless())
"""

# A small disk of the process's own, which nobody else sees and which goes with it.
ON_A_SMALL_DISK = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
FILL = """
import errno, subprocess, sys
from pathlib import Path
from cachexport.backends.local.ingest import LayoutIngester
from cachexport.backends.local.layout import Layout
from cachexport.errors import BackendError
from unit.backends.local.rig import described, reader, tree
directory = Path(sys.argv[1]) / "cache"
ingester = LayoutIngester(Layout(directory))
small = described(b"small")
ingester.ingest(small, reader(b"small"))
before = tree(directory)
if sys.argv[2] == "ro":
    subprocess.run(["mount", "-o", "remount,ro", sys.argv[1]], check=True)
try:
    ingester.ingest(described(bytes(200_000)), reader(bytes(200_000)))
except BackendError as error:
    assert str(directory) in str(error), error
    print(errno.errorcode[error.__cause__.errno], error)
assert tree(directory) == before
assert ingester.missing([small]) == set()
"""
LIMITED = """
import resource, sys
from pathlib import Path
from cachexport.backends.local.ingest import LayoutIngester
from cachexport.backends.local.layout import Layout
from cachexport.errors import BackendError
from unit.backends.local.rig import described, reader, tree
directory = Path(sys.argv[1])
ingester = LayoutIngester(Layout(directory))
ingester.begin()
before = tree(directory)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    ingester.ingest(described(bytes(2000)), reader(bytes(2000)))
except BackendError as error:
    print("too large" if "too large" in str(error) else error, flush=True)
assert tree(directory) == before
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "new" / "cache")


@pytest.fixture
def ingester(layout: Layout) -> Iterator[LayoutIngester]:
    ingester = LayoutIngester(layout)
    yield ingester
    ingester.close()


def path_of(raw: bytes) -> str:
    return f"blobs/sha256/{described(raw).digest.encoded}"


def test_a_blob_is_written_whole_and_read_only(layout: Layout, ingester: LayoutIngester) -> None:
    before = os.umask(0o027)
    try:
        ingester.ingest(BLOB, reader(b"blob"))
    finally:
        os.umask(before)
    assert tree(layout.directory) == {path_of(b"blob"): b"blob", **MARK}
    assert stat.S_IMODE(layout.blob(BLOB.digest).stat().st_mode) == 0o440
    assert stat.S_IMODE(layout.blob(BLOB.digest).parent.stat().st_mode) == 0o750


def test_nothing_is_made_before_the_first_blob(layout: Layout, ingester: LayoutIngester) -> None:
    assert ingester.missing([BLOB]) == {BLOB.digest}
    ingester.close()
    assert not layout.directory.exists()


def test_writing_twice_is_fine(layout: Layout, ingester: LayoutIngester) -> None:
    for _ in range(2):
        ingester.ingest(BLOB, reader(b"blob"))
    assert tree(layout.directory) == {path_of(b"blob"): b"blob", **MARK}


@pytest.mark.parametrize("wrong", [b"", b"blo", b"blobs"])
def test_a_blob_of_a_wrong_size_is_missing_and_replaced(
    layout: Layout, ingester: LayoutIngester, wrong: bytes
) -> None:
    put(layout.directory, b"other")
    layout.blob(BLOB.digest).write_bytes(wrong)
    assert ingester.missing([BLOB, described(b"other")]) == {BLOB.digest}
    ingester.ingest(BLOB, reader(b"blob"))
    assert ingester.missing([BLOB]) == set()
    assert layout.blob(BLOB.digest).read_bytes() == b"blob"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_an_error_of_the_reader_goes_up_as_it_is_and_leaves_nothing(
    layout: Layout, ingester: LayoutIngester, error: type[BaseException]
) -> None:
    class Broken:
        def __init__(self) -> None:
            self.blocks = iter([b"bl"])

        def read(self, size: int, /) -> bytes:
            for block in self.blocks:
                return block
            raise error("broken")

    with pytest.raises(error, match="broken"):
        ingester.ingest(BLOB, Broken())  # type: ignore[arg-type]
    assert tree(layout.directory) == MARK


def test_threads_share_an_ingester(layout: Layout, ingester: LayoutIngester) -> None:
    def ingest(number: int) -> None:
        raw = b"%d" % (number // 2)  # each blob twice
        ingester.ingest(described(raw), reader(raw))

    threads = [threading.Thread(target=ingest, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ingester.sync()
    wanted = {path_of(b"%d" % number): b"%d" % number for number in range(8)}
    assert tree(layout.directory) == wanted | MARK


@pytest.mark.parametrize("old", [b"", b"{}", *MARK.values()])
def test_the_mark_is_as_buildkit_writes_it(
    layout: Layout, ingester: LayoutIngester, old: bytes
) -> None:
    layout.directory.mkdir(parents=True)
    layout.mark.write_bytes(old)
    before = layout.mark.stat().st_ino
    ingester.begin()
    assert tree(layout.directory) == MARK
    assert (layout.mark.stat().st_ino == before) == (old == MARK["oci-layout"])


def test_a_foreign_directory_is_refused_and_left_alone(
    layout: Layout, ingester: LayoutIngester
) -> None:
    layout.directory.mkdir(parents=True)
    (layout.directory / "Makefile").touch()
    for call in (lambda: ingester.ingest(BLOB, reader(b"blob")), lambda: ingester.missing([BLOB])):
        with pytest.raises(FailedPrecondition, match="new or an empty directory"):
            call()
    assert os.listdir(layout.directory) == ["Makefile"]


def test_a_file_is_refused(layout: Layout, ingester: LayoutIngester) -> None:
    layout.directory.parent.mkdir()
    layout.directory.write_bytes(b"file")
    for call in (lambda: ingester.ingest(BLOB, reader(b"blob")), lambda: ingester.missing([BLOB])):
        with pytest.raises(FailedPrecondition, match="not a directory"):
            call()
    assert layout.directory.read_bytes() == b"file"


def test_stale_files_of_ours_are_removed_and_nothing_else(layout: Layout) -> None:
    layout.private.mkdir(parents=True)
    stale, fresh, other = (layout.private / name for name in ("a.tmp", "b.tmp", "c"))
    theirs = layout.directory / "ingest" / "0123" / "data"
    theirs.parent.mkdir()
    for path in (stale, fresh, other, theirs):
        path.write_bytes(b"half")
        age = 2 if path is fresh else STALE_AFTER + 10**10
        at = layout.directory.stat().st_mtime_ns - age
        os.utime(path, ns=(at, at))
    ingester = LayoutIngester(layout)
    ingester.begin()
    ingester.close()
    assert [path.exists() for path in (stale, fresh, other, theirs)] == [False, True, True, True]


def test_an_export_waits_for_a_reset(layout: Layout) -> None:
    resetting = LayoutIngester(layout)
    with resetting.alone() as alone:
        assert alone
        with pytest.raises(Conflict):
            LayoutIngester(layout, timeout=0).begin()
    later = LayoutIngester(layout, timeout=0)
    later.begin()
    later.close()


def test_who_is_not_alone_knows(layout: Layout, ingester: LayoutIngester) -> None:
    ingester.begin()
    with LayoutIngester(layout).alone() as alone:
        assert not alone


def test_a_killed_process_leaves_no_blob_and_no_lock(layout: Layout) -> None:
    with process(INGEST_HALF, layout.directory) as child:
        expect(child, "half")
        child.kill()
        child.wait()
    (half,) = layout.private.glob("*.tmp")
    assert half.read_bytes() == b"bl"
    assert not layout.blobs.exists()
    at = half.stat().st_mtime_ns - STALE_AFTER - 10**10
    os.utime(half, ns=(at, at))
    ingester = LayoutIngester(layout, timeout=0)
    ingester.ingest(BLOB, reader(b"blob"))
    with ingester.alone() as alone:
        assert alone
    assert tree(layout.directory) == {path_of(b"blob"): b"blob", **MARK}


def on_a_small_disk(directory: Path, mode: str) -> str:
    mount = f'mount -t tmpfs -o size=100k tmpfs "{directory}"'
    command = [*ON_A_SMALL_DISK, f'{mount}; exec "$@"', "sh"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        lacking("mounts", "this machine lets us mount nothing")
    done = subprocess.run(
        [*command, sys.executable, "-c", FILL, str(directory), mode],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{REPO}:{REPO / 'tests'}"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    out = on_a_small_disk(tmp_path, "rw")
    assert out.startswith("ENOSPC cannot write to")
    assert "disk full" in out


def test_a_read_only_disk_is_an_error(tmp_path: Path) -> None:
    out = on_a_small_disk(tmp_path, "ro")
    assert out.startswith("EROFS cannot write to")
    assert "read-only" in out


def test_a_limit_of_the_process_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with process(LIMITED, tmp_path) as child:
        expect(child, "too large")
        assert child.wait() == 0
