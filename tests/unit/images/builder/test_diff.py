from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest
from support import TESTS
from unit.images.builder.rig import entries, named, seen

from cachexport.content.layers.convert import diff_id, open_layer
from cachexport.content.memory import MemoryContent
from cachexport.errors import (
    BackendError,
    Conflict,
    InvalidAttr,
    InvalidInputError,
    NotFound,
)
from cachexport.images.builder import Policy, Rights, diff_layer, unpack_layer
from cachexport.model.envelope.manifest import decode_manifest
from cachexport.oci import mediatype
from cachexport.oci.compression import Compression
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cachexport.oci.descriptor import Descriptor

CACHES = TESTS / "wire" / "caches"
RIGHTS = Rights(owners=os.geteuid() == 0)
THERE_AND_BACK = """
import sys
from pathlib import Path
from cachexport.images.builder import Rights, diff_layer, unpack_layer
from cachexport.content.memory import MemoryContent
from cachexport.oci.compression import Compression

content, (place, back) = MemoryContent(), map(Path, sys.argv[1:])
desc = diff_layer(content, None, place, compression=Compression.UNCOMPRESSED)
unpack_layer(content, desc, back, rights=Rights(owners=False))
print(sys.getfilesystemencoding(), desc.digest)
"""


@pytest.fixture
def trees(tmp_path: Path) -> tuple[Path, Path]:
    """Two equal directories."""
    for name in ("old", "new"):
        place = tmp_path / name
        for folder in ("a", "a/b", "empty"):
            (place / folder).mkdir(parents=True)
        for file in ("a/1", "a/b/2", "z"):
            (place / file).write_text(file)
        (place / "s").symlink_to("a/1")
        for path in (place, *place.rglob("*")):
            os.utime(path, (1000, 1000), follow_symlinks=False)
    return tmp_path / "old", tmp_path / "new"


def test_equal_directories_have_no_difference(trees: tuple[Path, Path]) -> None:
    content = MemoryContent()
    desc = diff_layer(content, *trees, compression=Compression.UNCOMPRESSED)
    assert named(content, desc) == []
    assert desc.digest == desc.diff_id == Digest.of(bytes(1024))
    assert desc.media_type == mediatype.OCI_LAYER


def test_only_what_changed_is_in_the_layer_in_one_order(trees: tuple[Path, Path]) -> None:
    old, new = trees
    (new / "a/1").write_text("x/x")  # the same size
    os.utime(new / "a/1", (1000, 1000))
    (new / "a/b.txt").write_text("sorts behind what is in a/b")
    shutil.rmtree(new / "empty")
    (new / "z").unlink()
    (new / "z").mkdir()
    (new / "s").unlink()
    content = MemoryContent()
    desc = diff_layer(content, old, new)
    assert named(content, desc) == [".", "a", "a/1", "a/b.txt", ".wh.empty", ".wh.s", "z"]
    assert desc.media_type == mediatype.OCI_LAYER_GZIP
    assert diff_id(content, desc) == desc.diff_id


def test_a_directory_that_goes_takes_all_with_it(trees: tuple[Path, Path]) -> None:
    old, new = trees
    shutil.rmtree(new / "a")
    content = MemoryContent()
    assert named(content, diff_layer(content, old, new)) == [".", ".wh.a"]
    (new / "a").write_text("a file now")
    assert named(content, diff_layer(content, old, new)) == [".", "a"]


def test_without_a_lower_directory_all_is_in_the_layer(trees: tuple[Path, Path]) -> None:
    content = MemoryContent()
    desc = diff_layer(content, None, trees[1])
    assert named(content, desc) == ["a", "a/1", "a/b", "a/b/2", "empty", "s", "z"]


def test_hard_links_are_links_in_the_layer(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("x")
    os.link(tmp_path / "b", tmp_path / "a")
    os.link(tmp_path / "b", tmp_path / "c")
    content = MemoryContent()
    found = entries(content, diff_layer(content, None, tmp_path))
    assert [(entry.name, entry.linkname, entry.size) for entry in found] == [
        ("a", "", 1),
        ("b", "a", 0),
        ("c", "a", 0),
    ]


def test_a_link_that_is_cut_is_a_change_of_all_its_names(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text("x")
        os.link(tmp_path / name / "a", tmp_path / name / "b")
    new = tmp_path / "new"
    shutil.copy2(new / "b", new / "copy")
    os.replace(new / "copy", new / "b")
    for path in (tmp_path / "old", new, *tmp_path.glob("*/*")):
        os.utime(path, (5, 5))
    content = MemoryContent()
    found = entries(content, diff_layer(content, tmp_path / "old", new))
    assert [(entry.name, entry.type) for entry in found] == [
        ("a", tarfile.REGTYPE),
        ("b", tarfile.REGTYPE),
    ]


def test_a_policy_sets_times_and_owners(trees: tuple[Path, Path]) -> None:
    old, new = trees
    (new / "fresh").write_text("x")
    os.utime(new / "fresh", (2000.5, 2000.5))
    os.utime(new / "z", (5000, 5000))
    content = MemoryContent()
    policy = Policy(latest=1000, owner=(7, 8))
    (entry,) = [
        entry
        for entry in entries(content, diff_layer(content, old, new, policy=policy))
        if entry.name != "."
    ]
    assert (entry.name, entry.mtime, entry.uid, entry.gid) == ("fresh", 1000, 7, 8)
    assert (entry.uname, entry.gname) == ("", "")


def test_two_builds_at_other_times_give_one_layer(tmp_path: Path) -> None:
    descs = []
    for time in (10**9, 2 * 10**9):
        place = tmp_path / str(time)
        place.mkdir()
        (place / "f").write_text("x")
        os.utime(place / "f", (time, time))
        policy = Policy(latest=5, owner=(0, 0))
        descs.append(diff_layer(MemoryContent(), None, place, policy=policy))
    assert descs[0] == descs[1]


@pytest.mark.parametrize("compression", Compression)
def test_every_compression(trees: tuple[Path, Path], compression: Compression) -> None:
    content = MemoryContent()
    desc = diff_layer(content, None, trees[1], compression=compression)
    assert desc.media_type == compression.media_type
    assert len(named(content, desc)) == 7


def test_a_bad_level_is_refused(trees: tuple[Path, Path]) -> None:
    with pytest.raises(InvalidAttr):
        diff_layer(MemoryContent(), None, trees[1], level=99)


def test_a_name_that_would_be_a_marker_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".wh.x").touch()
    with pytest.raises(InvalidInputError, match=r"no layer can have the name 'a/\.wh\.x'"):
        diff_layer(MemoryContent(), None, tmp_path)


def test_sockets_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    content = MemoryContent()
    assert stat.S_ISSOCK((tmp_path / "socket").stat().st_mode)
    assert named(content, diff_layer(content, None, tmp_path)) == []


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nothing"):
        diff_layer(MemoryContent(), None, tmp_path / "nothing")


@pytest.mark.parametrize("size", [0, 3, 2000])
def test_a_file_that_changes_meanwhile_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    from cachexport.images.builder import layers

    (tmp_path / "f").write_bytes(bytes(1000))
    found = layers.changes

    def then_written(*args: object) -> object:
        answer = found(*args)  # type: ignore[arg-type]
        (tmp_path / "f").write_bytes(bytes(size))
        return answer

    monkeypatch.setattr(layers, "changes", then_written)
    with pytest.raises(Conflict, match="changed while it was read"):
        diff_layer(MemoryContent(), None, tmp_path)


def test_a_file_that_goes_meanwhile_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cachexport.images.builder import layers

    (tmp_path / "f").touch()
    found = layers.changes

    def then_gone(*args: object) -> object:
        answer = found(*args)  # type: ignore[arg-type]
        (tmp_path / "f").unlink()
        return answer

    monkeypatch.setattr(layers, "changes", then_gone)
    with pytest.raises((NotFound, BackendError), match="no such file"):
        diff_layer(MemoryContent(), None, tmp_path)


def test_no_locale_changes_the_bytes_of_a_name(tmp_path: Path) -> None:
    place, back = tmp_path / "place", tmp_path / "back"
    place.mkdir()
    back.mkdir()
    name = os.fsdecode("\u00fc\u65e5".encode() + b"\xff")
    (place / name).touch()
    os.link(place / name, place / "~hard")
    (place / "~soft").symlink_to(name)
    of_ascii = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    argv = [sys.executable, "-c", THERE_AND_BACK, place, back]
    done = subprocess.run(argv, env={**os.environ, **of_ascii}, check=True, stdout=subprocess.PIPE)
    desc = diff_layer(MemoryContent(), None, place, compression=Compression.UNCOMPRESSED)
    assert done.stdout.decode().split() == ["ascii", desc.digest]
    assert seen(back) == {**seen(place), ".": seen(back)["."]}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices and owners")
def test_gnu_tar_reads_the_same(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / ("n" * 200)).mkdir()
    file = place / ("n" * 200) / "ü\udcff"
    file.write_bytes(b"x" * 1000)
    os.chown(file, 3_000_000, 5)
    file.chmod(0o4711)
    os.setxattr(file, "security.capability", b"\x01\x00\x00\x02" + bytes(16))
    os.link(file, place / "hard")
    os.mknod(place / "device", stat.S_IFCHR | 0o640, os.makedev(5, 300))
    os.mkfifo(place / "fifo")
    (place / "link").symlink_to("t" * 300)
    for path in place.rglob("*"):
        os.utime(path, ns=(0, 1_234_567_890_123_456_789), follow_symlinks=False)
    content = MemoryContent()
    desc = diff_layer(content, None, place, compression=Compression.UNCOMPRESSED)
    raw = content.open(desc).read(1 << 20)
    other = tmp_path / "other"
    other.mkdir()
    subprocess.run(
        ["tar", "-x", "-p", "--numeric-owner", "--xattrs", "--xattrs-include=*"],
        cwd=other,
        input=raw,
        check=True,
    )
    assert {**seen(other), ".": None} == {**seen(place), ".": None}


def real_layers() -> Iterator[tuple[str, list[tuple[Path, Descriptor]]]]:
    for index in sorted(CACHES.glob("*/index.json")):
        blobs = index.parent / "blobs" / "sha256"
        for raw in (path.read_bytes() for path in sorted(blobs.iterdir())):
            if raw.startswith(b'{"schemaVersion":2') and b'"layers"' in raw:
                layers = decode_manifest(raw).layers
                yield index.parent.name, [(blobs / d.digest.encoded, d) for d in layers]


@pytest.mark.parametrize(("name", "layers"), list(real_layers()))
def test_real_layers_unpack_as_gnu_tar_unpacks_them(
    tmp_path: Path, name: str, layers: list[tuple[Path, Descriptor]]
) -> None:
    for number, (path, desc) in enumerate(layers):
        content = MemoryContent([path.read_bytes()])
        ours, theirs = tmp_path / f"{number}", tmp_path / f"{number}-tar"
        ours.mkdir()
        theirs.mkdir()
        assert unpack_layer(content, desc, ours, rights=RIGHTS) == desc.diff_id
        with open_layer(content, desc) as layer:
            raw = b"".join(iter(lambda: layer.read(1 << 20), b""))
        command = ["tar", "-x", "-p", "--numeric-owner"]
        subprocess.run(command, cwd=theirs, input=raw, check=True)
        if not any(".wh." in path.name for path in theirs.rglob("*")):
            assert seen(ours) == {**seen(theirs), ".": seen(ours)["."]}
