"""Layers on each other without copying anything, by the kernel's overlay file system."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.files.mounts import READ_ONLY, mount, unmount_below
from cachexport.files.removal import remove_tree

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator, Sequence

    from cachexport.store import Directories

FILES = "fs"
"""The folder in a store's directory that has a layer's files, or all files of an image."""
MOST = 120
"""Layers that are mounted at once; the kernel reads the options of a mount from one page."""

# Hard links that are written to stay links, with an index. No directory or file in a layer stands
# for another one, whatever its attributes say.
_OPTIONS = "index=on,redirect_dir=nofollow,metacopy=off"


@dataclass(frozen=True, slots=True)
class Overlay:
    """A directory `root` that shows layers and a writable one on top, in `own`."""

    own: pathlib.Path

    @property
    def upper(self) -> pathlib.Path:
        """What was changed."""
        return self.own / FILES

    @property
    def root(self) -> pathlib.Path:
        """All of it."""
        return self.own / "root"

    def mount(self, place: pathlib.Path, layers: Sequence[int]) -> pathlib.Path:
        """Mount it on the layers, bottom first, which are directories of `place`.

        Gives where those below are alone. Raises OSError.
        """
        for folder in (self.root, self.own / "lower", self.own / "work"):
            folder.mkdir()
        with _opened(place) as fd:
            names = [f"/proc/self/fd/{fd}/{number}/{FILES}" for number in reversed(layers)]
            above = f"upperdir={_here(fd, self.upper)},workdir={_here(fd, self.own / 'work')}"
            lowers = ":".join(names)
            mount("overlay", self.root, f"lowerdir={lowers},{above},{_OPTIONS}")
            if len(names) == 1:
                return place / str(layers[0]) / FILES
            mount("overlay", self.own / "lower", f"lowerdir={lowers},{_OPTIONS}", READ_ONLY)
        return self.own / "lower"

    def unmount(self) -> None:
        """Unmount it, and leave nothing but what was changed. Raises OSError."""
        unmount_below(self.own)
        for folder in (self.root, self.own / "lower", self.own / "work"):
            remove_tree(folder)


def can_overlay(directories: Directories, lease: str) -> bool:
    """Try whether this process may mount an overlay there, and whether it works."""
    below, above = directories.make(lease), directories.make(lease)
    try:
        for own in (below, above):
            (own.path / FILES).mkdir()
        (below.path / FILES / "x").touch()
        overlay = Overlay(above.path)
        overlay.mount(directories.place, [below.number])
        (overlay.root / "x").unlink()
        return not (overlay.root / "x").exists() and (below.path / FILES / "x").exists()
    except OSError:
        return False
    finally:
        above.remove()
        below.remove()


def touched(upper: pathlib.Path) -> set[tuple[str, ...]]:
    """Give the paths of all that was written, made or removed. Raises OSError."""
    found: set[tuple[str, ...]] = set()
    pending: list[tuple[str, ...]] = [()]
    while pending:
        path = pending.pop()
        with os.scandir(upper.joinpath(*path)) as entries:
            for entry in entries:
                found.add((*path, entry.name))
                if entry.is_dir(follow_symlinks=False):
                    pending.append((*path, entry.name))
    return found


def _here(fd: int, place: pathlib.Path) -> str:
    return f"/proc/self/fd/{fd}/{'/'.join(place.parts[-2:])}"


@contextmanager
def _opened(place: pathlib.Path) -> Iterator[int]:
    fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
