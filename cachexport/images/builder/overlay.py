"""Overlays: directories over others, which the kernel shows as one.

What is changed in one is in its own directory; see overlayfs in the kernel's documentation. Hard
links to what is below stay (`index`) and directories can be renamed (`redirect_dir`), as in any
other directory. The options are given in any case, so that the machine's defaults do not matter.
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
"""Directories that Linux lays over each other."""
_EACH = len("/proc/self/fd/100/1000000/d:")
_ROOM = 256
"""Bytes that the options need for each directory below, and for all else."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """Where the parts of an overlay are in `place`."""

    place: pathlib.Path

    @property
    def root(self) -> pathlib.Path:
        """Where it is mounted."""
        return self.place / "m"

    @property
    def own(self) -> pathlib.Path:
        """What is not in those below."""
        return self.place / "d"

    @property
    def work(self) -> pathlib.Path:
        """The kernel's."""
        return self.place / "w"

    @property
    def view(self) -> pathlib.Path:
        """Where those below can be mounted without what is own."""
        return self.place / "l"

    @property
    def index(self) -> pathlib.Path:
        """Has an entry for each file below that has hard links and was touched."""
        return self.work / "index"

    def own_has(self, path: Path) -> bool:
        """Say whether something is its own."""
        return os.path.lexists(self.own.joinpath(*path))

    def mount(self, below: Sequence[pathlib.Path]) -> None:
        """Mount it over other directories, the top one first; `own` is there. Raises OSError."""
        for path in (self.root, self.work):
            path.mkdir()
        _mount(self.place, below, self.root, (self.own, self.work), _OPTIONS)

    def mount_view(self, below: Sequence[pathlib.Path]) -> pathlib.Path:
        """Show those below alone, and give where: a single one is where it is. Raises OSError."""
        if len(below) == 1:
            return below[0]
        self.view.mkdir(exist_ok=True)
        _mount(self.place, below, self.view, (), _VIEW)
        return self.view

    def unmount_view(self) -> None:
        """Show them no more. Raises OSError."""
        unmount_below(self.view)

    def unmount(self) -> None:
        """Leave nothing but what is its own, as those below are. Raises OSError."""
        unmount_below(self.root)
        self.root.rmdir()
        shutil.rmtree(self.work)


def fits(count: int) -> bool:
    """Say whether an overlay can be over so many: the options have to fit into a page."""
    return count < _MOST and count * _EACH + _ROOM < os.sysconf("SC_PAGESIZE")


def may_mount(place: pathlib.Path) -> bool:
    """Try an overlay in an empty directory: whether it can be, and does what any other one does."""
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
    # A short way to all of them, in which no character means anything to the kernel.
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
    """A folder that is open, so that it has a short name."""

    def __init__(self, place: pathlib.Path) -> None:
        self._fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.name = f"/proc/self/fd/{self._fd}"

    def close(self) -> None:
        os.close(self._fd)
