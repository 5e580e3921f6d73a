"""Overlays: stacks of directories that the kernel shows as one.

Changes go into a directory of the overlay's own; see overlayfs in the kernel's documentation. Hard
links to lower files stay (`index`) and directories can be renamed (`redirect_dir`), as in any other
directory. All options are given, so that the machine's defaults do not matter.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.files.mounts import READ_ONLY, mount, unmount_below

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Sequence

    from cachexport.images.builder.names import Path

_OPTIONS = "index=on,redirect_dir=on,metacopy=off"
_VIEW = "redirect_dir=nofollow,metacopy=off"
_MOST = 500
"""The most directories that Linux stacks."""
_EACH = len("/proc/self/fd/100/1000000/d:")
_ROOM = 256
"""Bytes that the options need for each lower directory, and for everything else."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """Where the parts of an overlay are in `place`."""

    place: pathlib.Path

    @property
    def root(self) -> pathlib.Path:
        """The mount point."""
        return self.place / "m"

    @property
    def own(self) -> pathlib.Path:
        """Its own changes, overlayfs's upperdir."""
        return self.place / "d"

    @property
    def work(self) -> pathlib.Path:
        """The kernel's workdir."""
        return self.place / "w"

    @property
    def view(self) -> pathlib.Path:
        """The mount point for the lower directories alone."""
        return self.place / "l"

    @property
    def index(self) -> pathlib.Path:
        """Has an entry for each lower file with hard links that was touched."""
        return self.work / "index"

    def own_has(self, path: Path) -> bool:
        """Say whether a path is in its own directory."""
        return os.path.lexists(self.own.joinpath(*path))

    def mount(self, below: Sequence[pathlib.Path]) -> None:
        """Mount it over lower directories, the top one first; `own` exists. Raises OSError."""
        for path in (self.root, self.work):
            path.mkdir()
        _mount(self.place, below, self.root, (self.own, self.work), _OPTIONS)

    def mount_view(self, below: Sequence[pathlib.Path]) -> pathlib.Path:
        """Mount the lower directories alone, one not at all, and give where. Raises OSError."""
        if len(below) == 1:
            return below[0]
        self.view.mkdir(exist_ok=True)
        _mount(self.place, below, self.view, (), _VIEW)
        return self.view

    def unmount_view(self) -> None:
        """Unmount the view. Raises OSError."""
        unmount_below(self.view)

    def unmount(self) -> None:
        """Unmount it, and leave only its own directory. Raises OSError."""
        unmount_below(self.root)
        self.root.rmdir()
        shutil.rmtree(self.work)


def fits(count: int) -> bool:
    """Say whether an overlay can have so many layers: its options have to fit in a page."""
    return count < _MOST and count * _EACH + _ROOM < os.sysconf("SC_PAGESIZE")


def may_mount(place: pathlib.Path) -> bool:
    """Try in an empty directory whether overlays can be mounted and behave like directories."""
    if sys.platform != "linux":
        return False
    overlay, below = Overlay(place / "0"), place / "1" / "d"
    try:
        for path in (overlay.own, below / "folder" / "sub", below / "other" / "sub"):
            path.mkdir(parents=True)
        (below / "file").write_text("old")
        os.link(below / "file", below / "link")
        overlay.mount([below])
        return _does_as_others(overlay.root)
    except (OSError, shutil.Error):
        return False
    finally:
        with suppress(OSError):
            unmount_below(place)


def _does_as_others(root: pathlib.Path) -> bool:
    (root / "file").write_text("new")
    os.rename(root / "folder", root / "moved")
    shutil.rmtree(root / "other")
    (root / "other").mkdir()
    links_stay = (root / "link").read_text() == "new"
    is_empty = not os.listdir(root / "other")
    return links_stay and is_empty and (root / "moved" / "sub").is_dir()


def _mount(
    place: pathlib.Path,
    below: Sequence[pathlib.Path],
    point: pathlib.Path,
    own: Sequence[pathlib.Path],
    options: str,
) -> None:
    # A short path to all of them, without characters that are special to the kernel.
    with closing(_Folder(place.parent)) as folder:
        lower = ":".join(f"{folder.name}/{_name(path)}" for path in below)
        parts = [f"lowerdir={lower}", options]
        parts += [
            f"{key}={folder.name}/{_name(path)}"
            for key, path in zip(("upperdir", "workdir"), own, strict=False)
        ]
        mount("overlay", point, ",".join(parts), 0 if own else READ_ONLY)


def _name(path: pathlib.Path) -> str:
    return f"{path.parent.name}/{path.name}"


class _Folder:
    """An open folder, which has a short path in /proc."""

    def __init__(self, place: pathlib.Path) -> None:
        self._fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.name = f"/proc/self/fd/{self._fd}"

    def close(self) -> None:
        os.close(self._fd)
