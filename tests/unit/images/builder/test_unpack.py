from __future__ import annotations

import os
import stat
import subprocess
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

from cachexport.errors import FailedPrecondition, WireFormat
from cachexport.images.builder import Rights, unpack_layer
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from pathlib import Path

IS_ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not IS_ROOT, reason="only root can give files away")
NOBODY = Rights(owners=IS_ROOT)


def put(place: Path, *entries: object, **options: object) -> str:
    return unpack(place, *entries, rights=NOBODY, **options)  # type: ignore[arg-type]


def names(place: Path) -> list[str]:
    return sorted(str(path.relative_to(place)) for path in place.rglob("*"))


def test_entries_become_what_they_say(tmp_path: Path) -> None:
    put(
        tmp_path,
        folder("./a/", mode=0o2750, mtime=5),
        entry("a/f", b"content", mode=0o4711, mtime=7),
        symlink("a/s", "../../../etc/passwd"),
        hardlink("a/h", "a/f"),
        entry("a/p", type=tarfile.FIFOTYPE, mode=0o600),
    )
    status = (tmp_path / "a/f").stat()
    assert (tmp_path / "a/f").read_bytes() == b"content"
    assert (stat.S_IMODE(status.st_mode), status.st_mtime, status.st_nlink) == (0o4711, 7, 2)
    assert os.readlink(tmp_path / "a/s") == "../../../etc/passwd"
    assert (tmp_path / "a/h").stat().st_ino == status.st_ino
    assert stat.S_ISFIFO((tmp_path / "a/p").stat().st_mode)
    folder_status = (tmp_path / "a").stat()
    assert (stat.S_IMODE(folder_status.st_mode), folder_status.st_mtime) == (0o2750, 5)


@as_root
def test_owners_devices_and_attributes(tmp_path: Path) -> None:
    capability = b"\x01\x00\x00\x02\x00\x20\x00\x00" + bytes(12)
    text = capability.decode("utf-8", "surrogateescape")
    unpack(
        tmp_path,
        entry("f", b"x", uid=12, gid=34, pax_headers={"SCHILY.xattr.security.capability": text}),
        symlink("s", "f"),
        entry("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
        entry("disk", type=tarfile.BLKTYPE, devmajor=7, devminor=9),
        folder("d", uid=5, gid=6, pax_headers={"SCHILY.xattr.trusted.x": "a=b\n\0"}),
    )
    found = seen(tmp_path)
    assert found["f"][1:3] == (12, 34)
    assert found["f"][7] == {"security.capability": capability}
    assert found["null"][4] == os.makedev(1, 3)
    assert found["disk"][4] == os.makedev(7, 9)
    assert found["d"][1:3] == (5, 6)
    assert found["d"][7] == {"trusted.x": b"a=b\n\0"}


def test_a_device_that_is_not_allowed_is_an_error(tmp_path: Path) -> None:
    device = entry("dev/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)
    with pytest.raises(FailedPrecondition, match="'dev/null' is a device"):
        unpack(tmp_path, device, rights=Rights(owners=IS_ROOT, devices=False))


def test_owners_may_be_left_out(tmp_path: Path) -> None:
    unpack(tmp_path, entry("f", uid=12345), rights=Rights(owners=False))
    assert (tmp_path / "f").stat().st_uid == os.geteuid()


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1.5", 1_500_000_000),
        ("1234567890.123456789", 1_234_567_890_123_456_789),
        ("-1.000000001", -1_000_000_001),
        ("-3", -3_000_000_000),
    ],
)
def test_times_have_nanoseconds(tmp_path: Path, text: str, nanoseconds: int) -> None:
    put(tmp_path, entry("f", pax_headers={"mtime": text}), folder("d", pax_headers={"mtime": text}))
    assert (tmp_path / "f").stat().st_mtime_ns == nanoseconds
    assert (tmp_path / "d").stat().st_mtime_ns == nanoseconds


@pytest.mark.parametrize("format_", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_and_odd_names(tmp_path: Path, format_: int) -> None:
    deep = "/".join(["d" * 200] * 10)
    odd = b"\xff\xfe\n \t\\".decode("utf-8", "surrogateescape")
    raw = archive(
        entry(f"{deep}/{'f' * 250}", b"x"),
        symlink("link", "t" * 3000),
        hardlink("hard", f"{deep}/{'f' * 250}"),
        entry(odd, b"odd"),
        format=format_,
    )
    unpack_raw(tmp_path, raw, rights=NOBODY)
    assert (tmp_path / deep / ("f" * 250)).read_bytes() == b"x"
    assert (tmp_path / "hard").read_bytes() == b"x"
    assert os.readlink(tmp_path / "link") == "t" * 3000
    assert (tmp_path / odd).read_bytes() == b"odd"


def test_paths_longer_than_the_kernel_takes(tmp_path: Path) -> None:
    path = "/".join(["d" * 250] * 30)
    put(tmp_path, entry(f"{path}/f", b"deep"))
    fd = os.open(tmp_path, os.O_RDONLY)
    for name in path.split("/"):
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    assert os.listdir(fd) == ["f"]
    os.close(fd)


@pytest.mark.parametrize(
    "kind", ["gnu", "posix --sparse-version=1.0", "posix --sparse-version=0.1"]
)
def test_holes_stay_holes(tmp_path: Path, kind: str) -> None:
    with open(tmp_path / "holes", "wb") as file:
        for megabytes in (0, 3, 64):
            file.seek(megabytes << 20)
            file.write(b"data" * 10)
        file.truncate(100 << 20)
    raw = subprocess.run(
        ["tar", "-S", *f"--format={kind}".split(), "-c", "holes"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    ).stdout
    assert len(raw) < 1 << 20
    place = tmp_path / "root"
    place.mkdir()
    unpack_raw(place, raw, rights=NOBODY)
    assert (place / "holes").read_bytes() == (tmp_path / "holes").read_bytes()
    assert (place / "holes").stat().st_blocks * 512 < 1 << 20


def test_whiteouts_remove_what_is_below_only(tmp_path: Path) -> None:
    put(tmp_path, entry("a/old"), entry("a/both"), entry("f"), entry("gone/deep/x"))
    put(
        tmp_path,
        entry("a/new"),
        entry("a/both", b"new"),
        entry(".wh.a"),
        entry(".wh.f"),
        entry(".wh.gone"),
        entry(".wh.never"),
    )
    assert names(tmp_path) == ["a", "a/both", "a/new"]
    assert (tmp_path / "a/both").read_bytes() == b"new"


@pytest.mark.parametrize("is_first", [True, False])
def test_an_opaque_directory_hides_what_is_below_only(tmp_path: Path, is_first: bool) -> None:
    put(tmp_path, entry("a/old/x"), entry("a/f"), entry("b/stays"))
    entries = [folder("a"), entry("a/new"), entry("a/old/y")]
    entries.insert(1 if is_first else 3, entry("a/.wh..wh..opq"))
    put(tmp_path, *entries)
    assert names(tmp_path) == ["a", "a/new", "a/old", "a/old/y", "b", "b/stays"]


def test_notes_of_aufs_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, folder(".wh..wh.plnk"), entry(".wh..wh.plnk/1.2"), entry(".wh..wh.aufs"))
    assert names(tmp_path) == []


def test_what_is_there_is_replaced_and_no_other_link_of_it_changes(tmp_path: Path) -> None:
    put(
        tmp_path,
        entry("f", b"old"),
        hardlink("g", "f"),
        folder("d"),
        entry("d/x"),
        symlink("s", "d"),
    )
    put(tmp_path, entry("f", b"new"), entry("d", b"file now"), folder("s"), entry("s/y"))
    assert (tmp_path / "f").read_bytes() == b"new"
    assert (tmp_path / "g").read_bytes() == b"old"
    assert (tmp_path / "d").read_bytes() == b"file now"
    assert (tmp_path / "s").is_dir()
    assert not (tmp_path / "s").is_symlink()


def test_a_directory_that_is_there_keeps_its_content_and_time(tmp_path: Path) -> None:
    put(tmp_path, folder("d", mtime=5), entry("d/x"), folder("e", mtime=6), entry("e/x"))
    put(tmp_path, folder("d", mode=0o700, mtime=7), entry("d/y"), entry("e/y"), entry("e/.wh.x"))
    assert names(tmp_path) == ["d", "d/x", "d/y", "e", "e/y"]
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o700
    assert ((tmp_path / "d").stat().st_mtime, (tmp_path / "e").stat().st_mtime) == (7, 6)


def test_a_directory_that_may_not_be_written_is_written_before_that(tmp_path: Path) -> None:
    put(tmp_path, folder("./", mode=0o555), folder("d", mode=0o500), entry("d/x"), folder("d/e"))
    assert names(tmp_path) == ["d", "d/e", "d/x"]
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o500
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o555
    tmp_path.chmod(0o755)


def test_directories_that_are_missing_are_made_alike_everywhere(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        put(tmp_path, entry("a/b/f"))
    finally:
        os.umask(old)
    for name in ("a", "a/b"):
        status = (tmp_path / name).stat()
        assert (stat.S_IMODE(status.st_mode), status.st_mtime) == (0o755, 0)


@pytest.mark.parametrize("target", ["usr/lib", "/usr/lib", "/./usr//lib/", "usr/bin/../lib"])
def test_a_link_on_the_way_is_followed_in_the_root(tmp_path: Path, target: str) -> None:
    """As in the many images where `lib` is a link to `usr/lib` and layers name files in it."""
    put(tmp_path, folder("usr/lib"), folder("usr/bin"), symlink("lib", target))
    put(tmp_path, entry("lib/new", b"x"), entry("lib/.wh.old"), hardlink("h", "lib/new"))
    assert (tmp_path / "usr/lib/new").read_bytes() == b"x"
    assert (tmp_path / "lib").is_symlink()
    assert (tmp_path / "h").stat().st_nlink == 2


def test_the_root_has_attributes_too(tmp_path: Path) -> None:
    put(tmp_path, folder("./", mode=0o711, mtime=9), entry("x"))
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o711
    assert tmp_path.stat().st_mtime == 9


def test_the_diff_id_is_of_everything(tmp_path: Path) -> None:
    raw = archive(entry("f", b"x")) + b"what follows the end" * 100_000
    content, desc = layer(raw)
    assert unpack_layer(content, desc, tmp_path, rights=NOBODY) == Digest.of(raw)


def test_a_few_bytes_make_no_endless_tree(tmp_path: Path) -> None:
    with pytest.raises(WireFormat, match="deeper than 1000 names"):
        unpack(tmp_path, entry("/".join(["d"] * 5000)))
