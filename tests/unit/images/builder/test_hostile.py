"""Layers that were made to do harm: each is an error that says why, and nothing happens outside."""

from __future__ import annotations

import dataclasses
import os
import tarfile
from typing import TYPE_CHECKING

import pytest
from unit.images.builder.rig import (
    archive,
    entry,
    folder,
    hardlink,
    layer,
    seen,
    symlink,
    unpack,
    unpack_raw,
)

from cachexport.errors import FailedPrecondition, Integrity, WireFormat
from cachexport.images.builder import Limits, Rights, unpack_layer
from cachexport.oci.descriptor import UNCOMPRESSED
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from unit.images.builder.rig import Entry

RIGHTS = Rights(owners=os.geteuid() == 0)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A root in a directory with other things, which have to be as they were."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (tmp_path / "precious").write_text("precious")
    place = tmp_path / "root"
    place.mkdir()
    before = seen(tmp_path)
    yield place
    after = {name: what for name, what in seen(tmp_path).items() if not name.startswith("root")}
    assert after == {name: what for name, what in before.items() if not name.startswith("root")}


def up(count: int = 1) -> str:
    return "../" * count


HOSTILE: dict[str, tuple[list[Entry], str]] = {
    "absolute": ([entry("/precious", b"x")], "the path is absolute at '/precious'"),
    "upwards": ([entry("../precious", b"x")], "leads upwards"),
    "upwards later": ([folder("a"), entry("a/../../precious", b"x")], "leads upwards"),
    "only upwards": ([folder("..")], "leads upwards"),
    "no name": ([entry("")], "the path is none"),
    "root is a file": ([entry("./", b"", type=tarfile.REGTYPE)], "root is not a directory"),
    "root is a link": ([symlink(".", "../outside")], "root is not a directory"),
    "through a link": (
        [symlink("l", "../outside"), entry("l/secret", b"x")],
        "a link on the way leads out of the root at 'l/secret'",
    ),
    "through two links": (
        [folder("a"), symlink("a/l", ".."), symlink("m", "a/l/.."), entry("m/precious", b"x")],
        "leads out of the root",
    ),
    "through a chain": (
        [symlink("a", "b"), symlink("b", "../outside"), entry("a/secret", b"x")],
        "leads out of the root",
    ),
    "deep through a link": (
        [folder("d/e"), symlink("d/e/l", "../../../outside"), entry("d/e/l/x/y/z", b"x")],
        "leads out of the root",
    ),
    "links in a circle": (
        [symlink("a", "b"), symlink("b", "a"), entry("a/x", b"x")],
        "too many links",
    ),
    "link to itself": ([symlink("a", "a"), entry("a/x", b"x")], "too many links"),
    "through a file": ([entry("f"), entry("f/x", b"x")], "'f' on the way is not a directory"),
    "whiteout through a link": (
        [symlink("l", "../outside"), entry("l/.wh.secret")],
        "leads out of the root",
    ),
    "opaque through a link": (
        [symlink("l", ".."), entry("l/.wh..wh..opq")],
        "leads out of the root",
    ),
    "whiteout of nothing": ([entry("a/.wh.")], "removes no name at 'a/.wh.'"),
    "whiteout of itself": ([entry(".wh..")], "removes no name"),
    "whiteout of what is above": ([entry("a/.wh...")], "removes no name"),
    "hard link upwards": ([hardlink("h", "../precious")], r"leads upwards at .*the hard link 'h'"),
    "hard link absolute": ([hardlink("h", "/etc/passwd")], "the path is absolute"),
    "hard link through a link": (
        [symlink("l", "../outside"), hardlink("h", "l/secret")],
        "leads out of the root",
    ),
    "hard link to nothing": ([hardlink("h", "nothing")], "which is no file"),
    "hard link to a directory": ([folder("d"), hardlink("h", "d")], "which is no file"),
    "hard link to the root": ([hardlink("h", ".")], "leads to the root"),
    "hard link to itself": ([entry("h", b"x"), hardlink("h", "./h")], "leads to itself"),
    "unknown kind": ([entry("x", type=b"Z")], "unknown kind of entry"),
    "bad time": ([entry("x", pax_headers={"mtime": "1e999999999"})], "not a time"),
    "no time": ([entry("x", pax_headers={"mtime": "NaN"})], "not a time"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_layer_is_refused(root: Path, name: str) -> None:
    entries, message = HOSTILE[name]
    with pytest.raises(WireFormat, match=message):
        unpack(root, *entries, rights=RIGHTS)


def test_a_link_out_of_the_root_that_nothing_goes_through_is_only_a_text(root: Path) -> None:
    unpack(root, symlink("l", "../precious"), symlink("m", "../outside"), rights=RIGHTS)
    # What replaces a link replaces the link, not what it leads to.
    entries = (entry("l", b"mine"), folder("m", mode=0o700), entry("m/secret", b"mine"))
    unpack(root, *entries, rights=RIGHTS)
    assert (root / "m" / "secret").read_bytes() == b"mine"


def test_a_hard_link_to_a_link_is_one_to_the_link(root: Path) -> None:
    unpack(root, symlink("l", "../precious"), hardlink("h", "l"), rights=RIGHTS)
    assert (root / "h").is_symlink()
    assert (root / "h").lstat().st_nlink == 2


def test_attributes_of_a_link_are_not_its_targets(root: Path) -> None:
    member, content = symlink("l", "../precious")
    member.mode, member.mtime = 0o777, 1
    unpack(root, (member, content), rights=RIGHTS)


def test_links_that_are_there_before_do_no_harm(root: Path) -> None:
    (root / "l").symlink_to(root.parent / "outside")
    (root / "abs").symlink_to("/")
    with pytest.raises(WireFormat, match="leads out"):
        (root / "up").symlink_to("..")
        unpack(root, entry("up/precious", b"x"), rights=RIGHTS)
    # An absolute one starts at the root, as it would in a container.
    unpack(root, entry("abs/etc/x", b"x"), rights=RIGHTS)
    assert (root / "etc/x").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(entries=3), "more than 3 entries"),
        (Limits(bytes=3999), "more than 3999 bytes"),
    ],
)
def test_limits(root: Path, limits: Limits, message: str) -> None:
    entries = [entry(f"f{number}", bytes(1000)) for number in range(4)]
    unpack(root, *entries, rights=RIGHTS, limits=Limits(entries=4, bytes=4000))
    with pytest.raises(FailedPrecondition, match=message):
        unpack(root, *entries, rights=RIGHTS, limits=limits)


def holes(size: int, stretches: str, content: bytes) -> Entry:
    headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.name": "holes",
        "GNU.sparse.size": str(size),
        "GNU.sparse.map": stretches,
    }
    return entry("holes", content, pax_headers=headers)


def test_holes_count_as_bytes(root: Path) -> None:
    with pytest.raises(FailedPrecondition, match="bytes"):
        unpack(root, holes(1 << 50, "0,0", b""), rights=RIGHTS)


@pytest.mark.parametrize(
    "stretches",
    [
        "10,5,0,5",  # backwards
        "0,5,3,5",  # over each other
        "-5,10",
        "5,-5,5,10",
        "0,5,98,5",  # behind the end
        "0,5,10,100000",  # of the next entry
        "0,10,20,600",
    ],
)
def test_a_wrong_map_of_holes_is_refused(root: Path, stretches: str) -> None:
    secret = entry("next", b"another's content" * 1000)
    with pytest.raises(WireFormat, match="map of the holes is wrong"):
        unpack(root, holes(100, stretches, b"0123456789"), secret, rights=RIGHTS)
    unpack(root, holes(100, "0,5,95,5", b"0123456789"), secret, rights=RIGHTS)
    assert (root / "holes").read_bytes() == b"01234" + bytes(90) + b"56789"


@pytest.mark.parametrize("text", ["x", "1,x", "9" * 5000 + ",1"])
def test_a_map_of_holes_that_is_none_is_refused(root: Path, text: str) -> None:
    with pytest.raises(WireFormat):
        unpack(root, holes(100, text, b"0123456789"), rights=RIGHTS)


def test_a_bomb_is_refused(root: Path) -> None:
    bomb = archive(entry("zeros", bytes(80 << 20)))
    with pytest.raises(FailedPrecondition, match="more than 10 times its size"):
        unpack_raw(root, bomb, rights=RIGHTS, limits=Limits(ratio=10))
    unpack_raw(root, bomb, rights=RIGHTS)


def test_a_long_header_does_not_fill_the_memory(root: Path) -> None:
    member = tarfile.TarInfo("x")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    raw = member.tobuf(tarfile.GNU_FORMAT) + bytes(1024)
    with pytest.raises(WireFormat, match="extended header of 1099511627776 bytes"):
        unpack_raw(root, raw, rights=RIGHTS)


def test_damage_behind_the_first_entry_is_no_end(root: Path) -> None:
    raw = bytearray(archive(entry("a", b"x"), entry("b", b"y"), entry("c", b"z")))
    raw[1024 + 10] ^= 1
    with pytest.raises(WireFormat, match="not a tar archive that can be read"):
        unpack_raw(root, bytes(raw), rights=RIGHTS)


@pytest.mark.parametrize("length", [100, 512 + 300, 1024 + 100])
def test_an_archive_that_is_cut_off_is_refused(root: Path, length: int) -> None:
    raw = archive(entry("a", b"x" * 600), entry("b", b"y"))[:length]
    with pytest.raises(WireFormat):
        unpack_raw(root, raw, rights=RIGHTS)


def test_no_archive_at_all(root: Path) -> None:
    with pytest.raises(WireFormat, match="not a tar archive"):
        unpack_raw(root, b"hello " * 1000, rights=RIGHTS)


def test_another_diff_id_is_an_error(root: Path) -> None:
    content, desc = layer(archive(entry("a")))
    wrong = dataclasses.replace(desc, annotations={UNCOMPRESSED: Digest.of(b"other")})
    with pytest.raises(Integrity, match="its diff ID is"):
        unpack_layer(content, wrong, root, rights=RIGHTS)


def test_descriptors_are_closed_whatever_happens(root: Path) -> None:
    before = os.listdir("/proc/self/fd")
    for entries, _ in HOSTILE.values():
        with pytest.raises(WireFormat):
            unpack(root, *entries, rights=RIGHTS)
    assert len(os.listdir("/proc/self/fd")) == len(before)
