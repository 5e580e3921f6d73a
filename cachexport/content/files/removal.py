"""Removing a directory tree, whatever its modes, flags and depth."""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LONG = struct.calcsize("l")
_GET_FLAGS = 0x8000_6601 | _LONG << 16
_SET_FLAGS = 0x4000_6602 | _LONG << 16
_IMMUTABLE, _APPEND_ONLY = 0x10, 0x20


def remove_tree(place: Path) -> None:
    """Remove a directory and all below it; one that is not there is fine. Raises OSError.

    No link is followed. Modes and the flags "immutable" and "append only" are taken off where
    they forbid it. Nothing may be mounted below: that would be emptied.
    """
    with _opened(place.parent) as fd, suppress(FileNotFoundError), closing(_Walk(fd)) as walk:
        walk.remove(place.name)


@dataclass(slots=True)
class _Walk:
    """The position in the tree. It holds one descriptor, however deep it is."""

    fd: int
    _above: list[tuple[str, list[str]]] = field(default_factory=list)
    """The way here: each directory's name, and the names left beside it."""

    def __post_init__(self) -> None:
        self.fd = os.dup(self.fd)

    def close(self) -> None:
        os.close(self.fd)

    def remove(self, name: str) -> None:
        pending = [name]
        while pending or self._above:
            pending = self._remove_one(pending) if pending else self._up()

    def _remove_one(self, pending: list[str]) -> list[str]:
        """Remove the last one; give what is to be removed next, and where is in `fd`."""
        name = pending.pop()
        status: os.stat_result = self._forced(os.lstat, name)
        if not stat.S_ISDIR(status.st_mode):
            self._forced(os.unlink, name)
            return pending
        entered: int = self._forced(_open, name)
        os.close(self.fd)
        self.fd = entered
        self._above.append((name, pending))
        return os.listdir(entered)

    def _up(self) -> list[str]:
        name, pending = self._above.pop()
        above: int = self._forced(_open, "..")
        os.close(self.fd)
        self.fd = above
        self._forced(os.rmdir, name)
        return pending

    def _forced(self, action: Callable[..., Any], name: str) -> Any:
        try:
            return action(name, dir_fd=self.fd)
        except PermissionError:
            self._permit(name)
            return action(name, dir_fd=self.fd)

    def _permit(self, name: str) -> None:
        """Take off what forbids to remove `name`, as far as that can be done."""
        with suppress(OSError):
            _clear_flags(self.fd)
            os.fchmod(self.fd, stat.S_IRWXU)
        with suppress(OSError):
            mode = os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode) and name != "..":
                os.chmod(name, stat.S_IRWXU, dir_fd=self.fd)
            # Devices are not opened: opening one may have effects.
            if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
                fd = os.open(name, _FILE, dir_fd=self.fd)
                try:
                    _clear_flags(fd)
                finally:
                    os.close(fd)


@contextmanager
def _opened(place: Path) -> Iterator[int]:
    fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _open(name: str, *, dir_fd: int) -> int:
    return os.open(name, _DIRECTORY, dir_fd=dir_fd)


def _clear_flags(fd: int) -> None:
    flags: int = struct.unpack("l", fcntl.ioctl(fd, _GET_FLAGS, bytes(_LONG)))[0]
    kept = flags & ~(_IMMUTABLE | _APPEND_ONLY)
    if kept != flags:
        fcntl.ioctl(fd, _SET_FLAGS, struct.pack("l", kept))
