"""What is mounted where."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cachexport.content.files import mounts

if TYPE_CHECKING:
    from pathlib import Path

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="root alone mounts")


def test_a_row_is_parted_at_spaces_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mountinfo"
    table.write_bytes(
        "36 35 98:0 / /a\\040b\u00a0c\x0cd\u3000 rw shared:1 - ext4 /dev/x rw\n"
        "37 36 98:0 / /b\\134\\011 rw - tmpfs none rw\n".encode()
        + b"38 36 98:0 / /\xff rw - tmpfs none rw\n"
    )
    monkeypatch.setattr(mounts, "TABLE", table)
    assert [(str(found.point), found.kind) for found in mounts.mounted()] == [
        (os.fsdecode("/a b\u00a0c\x0cd\u3000".encode()), "ext4"),
        ("/b\\\t", "tmpfs"),
        (os.fsdecode(b"/\xff"), "tmpfs"),
    ]


@AS_ROOT
def test_what_is_mounted_elsewhere_too_stays_there(tmp_path: Path) -> None:
    """In a namespace whose mounts are shared, as systemd has them."""
    script = """
import pathlib, subprocess, sys
from cachexport.content.files.mounts import mount, mounts_at, unmount_below
host, root = pathlib.Path(sys.argv[1], "host"), pathlib.Path(sys.argv[1], "root")
host.mkdir(); root.mkdir()
mount("tmpfs", host, "")
(host / "pts").mkdir()
mount("tmpfs", host / "pts", "")
subprocess.run(["mount", "--rbind", host, root], check=True)
unmount_below(root)
assert mounts_at(root) == []
assert mounts_at(host) == [host, host / "pts"], mounts_at(host)
"""
    unshared = ["unshare", "--mount", "--propagation", "shared", sys.executable, "-c", script]
    done = subprocess.run([*unshared, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
