from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from unit.images.builder.rig import as_nobody

from cachexport.content.files import mounts
from cachexport.content.files.removal import remove_tree

IS_ROOT = os.geteuid() == 0


def test_what_is_not_there_is_removed(tmp_path: Path) -> None:
    remove_tree(tmp_path / "nothing")


def test_a_file_is_removed_too(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    remove_tree(tmp_path / "file")
    assert os.listdir(tmp_path) == []


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").touch()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/link").symlink_to("../kept")
    (tmp_path / "link").symlink_to("kept")
    remove_tree(tmp_path / "tree")
    remove_tree(tmp_path / "link")
    assert os.listdir(tmp_path) == ["kept"]
    assert os.listdir(tmp_path / "kept") == ["file"]


def test_depth_costs_neither_descriptors_nor_a_stack(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    remove_tree(tmp_path / "d")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("mode", [0, 0o111, 0o444, 0o555])
def test_modes_forbid_nothing(mode: int) -> None:
    place = Path("/tmp", f"removal-{os.getpid()}-{mode}")
    place.mkdir()
    try:
        with as_nobody(place):
            deep = place / "tree/shut/deep"
            deep.mkdir(parents=True)
            (deep / "file").touch(mode=mode)
            for folder in (deep, deep.parent, deep.parent.parent):
                folder.chmod(mode)
            remove_tree(place / "tree")
        assert os.listdir(place) == []
    finally:
        place.rmdir()


@pytest.mark.parametrize("flag", ["+i", "+a"])
def test_flags_forbid_nothing(tmp_path: Path, flag: str) -> None:
    deep = tmp_path / "tree/deep"
    deep.mkdir(parents=True)
    (deep / "file").touch()
    changed = subprocess.run(
        ["chattr", flag, deep / "file", deep, deep.parent], check=False, capture_output=True
    )
    if changed.returncode:
        pytest.skip("the file system has no such flags, or this process may not set them")
    with pytest.raises(PermissionError):
        (deep / "file").unlink()
    remove_tree(tmp_path / "tree")
    assert os.listdir(tmp_path) == []


def test_what_is_mounted_is_read_with_its_escapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text("36 35 98:0 / /a\\040b rw,noatime master:1 - ext3 /dev/root rw\n")
    monkeypatch.setattr(mounts, "TABLE", table)
    assert mounts.mounted() == [mounts.Mount(Path("/a b"), "ext3")]
    monkeypatch.setattr(mounts, "TABLE", tmp_path / "none")
    assert mounts.mounted() == []


@pytest.mark.skipif(not IS_ROOT, reason="only root mounts")
def test_all_mounts_below_go_and_no_others(tmp_path: Path) -> None:
    inner, beside = tmp_path / "x y/in", tmp_path / "x y z"
    for folder in (inner, beside):
        folder.mkdir(parents=True)
        mounts.mount("tmpfs", folder, "size=1m")
    (inner / "deep").mkdir()
    mounts.mount("tmpfs", inner / "deep", "size=1m")
    held = os.open(inner / "deep", os.O_RDONLY)
    mounts.unmount_below(tmp_path / "x y")
    os.close(held)
    points = [each.point for each in mounts.mounted()]
    assert [point for point in points if point.is_relative_to(tmp_path)] == [beside]
    mounts.unmount_below(tmp_path)
