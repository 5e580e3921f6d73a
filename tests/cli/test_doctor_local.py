"""`doctor` on local directories: what it finds, and that it leaves them as they were."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from cli.commands import InProcess, local
from support.caches import FOLDER

from cachexport.backends.local import checks as local_checks
from cachexport.backends.local.checks import Scratch, file_system
from cachexport.backends.local.layout import Layout
from cachexport.content.clock import Clock, using_clock
from cachexport.content.files import mounts as table
from cachexport.contract.checks import Finding, Outcome
from cachexport.doctor.engine import doctor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cachexport.doctor.engine import Diagnosis

NAMES = ["directory", "locks", "read", "space", "write", "replace", "flock", "fsync"]
READING = NAMES[:3]


def found(diagnosis: Diagnosis) -> dict[str, Finding]:
    return {result.check: result.finding for result in diagnosis.results}


def examine(path: Path, way: str = "dest", **attrs: object) -> dict[str, Finding]:
    return found(doctor(local(path, way, **attrs)))


def snapshot(folder: Path) -> dict[str, tuple[int, bytes | None]]:
    """Give everything below a folder, folders too, with when it was written."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns if path.is_file() else 0,
            path.read_bytes() if path.is_file() else None,
        )
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Give a copy of a real cache, as BuildKit left it."""
    return Path(shutil.copytree(FOLDER / "max", tmp_path / "cache"))


def test_a_new_directory_is_good_and_not_made(run: InProcess, tmp_path: Path) -> None:
    dest = tmp_path / "not" / "there"
    ran = run("doctor", local(dest, "dest"), "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    checks = json.loads(ran.out)["checks"]
    assert [check["name"] for check in checks] == NAMES
    assert {check["outcome"] for check in checks} <= {"ok", "note"}
    assert checks[0]["finding"] == f"not there yet; an export makes it in {tmp_path}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("way", ["dest", "src"])
def test_a_cache_is_left_as_it_is(cache: Path, way: str) -> None:
    before = snapshot(cache)
    checks = examine(cache, way)
    assert checks["read"].facts == {"found": "cache", "form": "image-manifest", "records": 16}
    assert checks["directory"].text == "an OCI image layout"
    assert not any(finding.exit_code for finding in checks.values())
    assert snapshot(cache) == before


def test_an_empty_directory_stays_empty(tmp_path: Path) -> None:
    checks = examine(tmp_path)
    assert checks["directory"].text == "empty"
    assert checks["write"].outcome is Outcome.OK
    assert list(tmp_path.iterdir()) == []


def test_a_source_is_not_written(cache: Path) -> None:
    checks = examine(cache, "src")
    assert list(checks) == [*READING, "write"]
    assert checks["write"].outcome is Outcome.SKIPPED
    assert "dest=" in checks["write"].text


def test_read_only_writes_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_checks.os, "mkdir", lambda *_: pytest.fail("a folder was made"))
    checks = found(doctor(local(cache, "dest"), read_only=True))
    assert list(checks) == NAMES[:4]


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    checks = examine(tmp_path / "absent", "src")
    assert checks["directory"].outcome is Outcome.NOTE
    assert (checks["read"].outcome, checks["read"].facts) == (Outcome.NOTE, {"found": "nothing"})


def test_an_archive(tmp_path: Path) -> None:
    packed = shutil.make_archive(str(tmp_path / "cache"), "gztar", FOLDER / "max")
    checks = examine(Path(packed), "src")
    assert checks["directory"].text == "an archive"
    assert checks["read"].facts["records"] == 16


def test_another_tag(cache: Path) -> None:
    checks = examine(cache, tag="other")
    assert checks["read"].text == "no cache under this tag yet"


def test_what_is_no_layout_is_told_and_left(run: InProcess, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    ran = run("doctor", local(tmp_path, "dest"))
    assert ran.code == 70
    assert "give a new or an empty directory" in " ".join(ran.out.split())
    assert "needs directory, which failed" in " ".join(ran.out.split())
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_damaged_index(cache: Path) -> None:
    (cache / "index.json").write_text('{"manifests":[{"digest":"sha256:zz"}]}')
    checks = examine(cache)
    assert checks["read"].exit_code == 65
    assert "manifests[0].digest" in checks["read"].text
    assert checks["write"].outcome is Outcome.OK


_HOLDER = """
import fcntl, os, sys
file = open(sys.argv[1], "ab")
fcntl.flock(file, getattr(fcntl, sys.argv[2]))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path: Path, kind: str = "LOCK_EX") -> Iterator[int]:
    """Let another process hold a lock, and give its number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", _HOLDER, str(path), kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        yield child.pid


def test_a_lock_that_another_keeps(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_checks, "_LOCK_TIMEOUT", 0.05)
    with held(cache / "index.json.lock") as pid:
        checks = examine(cache)
    assert checks["locks"].exit_code == 75
    assert f"locked by process {pid}" in checks["locks"].text
    assert checks["read"].text == "needs locks, which failed"
    assert checks["write"].outcome is Outcome.OK


def test_an_export_that_is_running_is_a_note(cache: Path) -> None:
    with held(cache / "ingest" / "cachexport" / "exports.lock", "LOCK_SH"):
        checks = examine(cache)
    assert checks["locks"].outcome is Outcome.NOTE
    assert checks["locks"].facts == {"in_use": True}
    assert checks["write"].outcome is Outcome.OK


def refusing(number: int) -> Callable[..., NoReturn]:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize(
    ("number", "finding", "advice"),
    [
        (errno.EACCES, "permission denied", f"let user {os.geteuid()} write there (chown, chmod)"),
        (errno.EROFS, "the file system is read-only", "mount it writable"),
        (errno.ENOSPC, "disk full", "reset=true"),
    ],
)
def test_what_cannot_be_written_says_why(
    cache: Path, monkeypatch: pytest.MonkeyPatch, number: int, finding: str, advice: str
) -> None:
    before = snapshot(cache)
    monkeypatch.setattr(local_checks.os, "mkdir", refusing(number))
    checks = examine(cache)
    assert checks["write"].exit_code == 74
    assert checks["write"].text == f"cannot write to {cache}: {finding}"
    assert advice in checks["write"].advice
    assert {checks[name].text for name in NAMES[5:]} == {"needs write, which failed"}
    assert snapshot(cache) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root, to be somebody else")
def test_somebody_elses_directory() -> None:
    os.seteuid(65534)
    try:
        checks = examine(Path("/usr/cachexport-test"))
    finally:
        os.seteuid(0)
    assert checks["write"].exit_code == 74
    assert "let user 65534 write there" in checks["write"].advice


def test_locks_that_keep_nobody_out(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_checks.fcntl, "flock", lambda *_: None)
    assert examine(cache)["flock"].outcome is Outcome.WARNING


def test_no_locks_at_all(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_checks.fcntl, "flock", refusing(errno.ENOLCK))
    finding = examine(cache)["flock"]
    assert (finding.exit_code, "has no locks" in finding.text) == (74, True)


def test_files_that_change_under_their_readers(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_checks.os, "replace", shutil.copyfile)
    finding = examine(cache)["replace"]
    assert finding.exit_code == 74
    assert "changes under those who read it" in finding.text


def test_a_slow_disk_is_a_note(cache: Path) -> None:
    times = iter(range(100))
    with using_clock(Clock(monotonic=lambda: next(times) / 10)):
        finding = examine(cache)["fsync"]
    assert finding.outcome is Outcome.NOTE
    assert finding.facts == {"milliseconds": 100.0}


Space = namedtuple("Space", ["f_bavail", "f_frsize", "f_files", "f_favail"])


@pytest.mark.parametrize(
    ("space", "outcome", "text"),
    [
        (Space(10**6, 4096, 10**6, 10**6), Outcome.OK, "4.1 GB free on ext4"),
        (Space(10**5, 4096, 10**6, 10**6), Outcome.WARNING, "0.4 GB free on ext4"),
        (Space(10**6, 4096, 10**6, 7), Outcome.WARNING, "4.1 GB free on ext4, for 7 files"),
        (Space(10**6, 4096, 0, 0), Outcome.OK, "4.1 GB free on ext4"),
    ],
)
def test_space(
    cache: Path, monkeypatch: pytest.MonkeyPatch, space: Space, outcome: Outcome, text: str
) -> None:
    monkeypatch.setattr(local_checks.os, "statvfs", lambda _: space)
    monkeypatch.setattr(local_checks, "file_system", lambda _: ("ext4", ""))
    finding = examine(cache)["space"]
    assert (finding.outcome, finding.text) == (outcome, text)
    assert ("reset=true" in finding.advice) is (outcome is Outcome.WARNING)


_MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /mnt rw - nfs4 server:/export rw
31 30 0:41 / /mnt/with\\040space rw,nosuid shared:3 master:1 - tmpfs tmpfs rw
32 22 0:42 / /mnt/ssh rw - fuse.sshfs host: rw
33 22 0:43 / /over rw - ext4 /dev/sdb rw
34 22 0:44 / /over rw - overlay overlay rw
"""


@pytest.mark.parametrize(
    ("path", "name", "advised"),
    [
        ("/home", "ext4", False),
        ("/mntx", "ext4", False),
        ("/mnt/cache", "nfs4", True),
        ("/mnt/with space/cache", "tmpfs", True),
        ("/mnt/ssh", "fuse.sshfs", True),
        ("/over", "overlay", True),
    ],
)
def test_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, name: str, advised: bool
) -> None:
    (tmp_path / "mountinfo").write_text(_MOUNTS)
    monkeypatch.setattr(table, "TABLE", tmp_path / "mountinfo")
    kind, advice = file_system(Path(path))
    assert (kind, bool(advice)) == (name, advised)


def test_no_table_of_file_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "TABLE", Path("/nowhere/mountinfo"))
    assert file_system(Path("/"))[0] == "unknown"


def test_an_export_that_begins_meanwhile_keeps_its_folder(cache: Path) -> None:
    tried = Scratch(Layout(cache))
    assert tried.folder.parent == cache / "ingest"
    (cache / "ingest" / "cachexport").mkdir()
    tried.close()
    tried.close()
    assert [path.name for path in (cache / "ingest").iterdir()] == ["cachexport"]
