"""Changes in a directory that never leave it, wherever its links lead.

Every path is walked name by name from the root's own descriptor, and the kernel follows no link.
This module follows symbolic links as if the root were `/`; a link that leads above the root is an
error.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from cachexport.content.files.errors import translated
from cachexport.errors import WireFormat
from cachexport.images.builder.names import show

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterator

    from cachexport.images.builder.names import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40  # Linux's own limit
_PARENT_MODE = 0o755


@dataclass(frozen=True, slots=True)
class Spot:
    """A name in an open directory, where something is or will be. No link was followed to it."""

    fd: int
    """The directory's descriptor."""
    name: str
    path: Path

    @property
    def status(self) -> os.stat_result | None:
        """The status of what is there; None for nothing."""
        try:
            return os.stat(self.name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    @property
    def handle(self) -> str:
        """A path to it for calls that take no descriptor of a directory."""
        return f"/proc/self/fd/{self.fd}/{self.name}"


class Root:
    """The directory at `place`; the caller closes.

    Whatever is done in a directory changes its time, and a mode that forbids writing would keep
    later entries out. So `defer` notes the times and modes that directories shall have, and
    `apply_deferred` sets them; other directories get the times back that they had.
    """

    def __init__(self, place: pathlib.Path) -> None:
        self.place = place
        self._times: dict[Path, int] = {}
        self._modes: dict[Path, int] = {}
        with translated("write", place):
            self._fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    @contextmanager
    def at(self, path: Path) -> Iterator[Spot]:
        """Open the spot of a path below the root; missing directories above it are made.

        They get mode 0755 and the time 0. Raises WireFormat when the path leads out of the root,
        through too many links, or through something that is no directory.
        """
        fd, above = self._walk(path)
        try:
            self._keep(above, fd)
            yield Spot(fd, path[-1], (*above, path[-1]))
        finally:
            os.close(fd)

    @contextmanager
    def directory(self, path: Path) -> Iterator[int]:
        """Open a directory that exists, by a path without links."""
        fd = os.dup(self._fd)
        try:
            for name in path:
                fd = _enter(fd, name)
            yield fd
        finally:
            os.close(fd)

    def remove(self, spot: Spot, spared: Callable[[Path], bool]) -> bool:
        """Remove `spot` and all below it but what is `spared`; say whether it is gone.

        A directory with something spared in it stays.
        """
        status = spot.status
        if status is None:
            return True
        if not stat.S_ISDIR(status.st_mode):
            if spared(spot.path):
                return False
            os.unlink(spot.name, dir_fd=spot.fd)
            return True
        fd = os.open(spot.name, _DIRECTORY, dir_fd=spot.fd)
        try:
            self._keep(spot.path, fd)
            is_empty = self.clear(fd, spot.path, spared)
        finally:
            os.close(fd)
        if not is_empty or spared(spot.path):
            return False
        os.rmdir(spot.name, dir_fd=spot.fd)
        self._times.pop(spot.path, None)
        self._modes.pop(spot.path, None)
        return True

    def clear(self, fd: int, path: Path, spared: Callable[[Path], bool]) -> bool:
        """Empty the directory `fd`, except for spared paths; say whether it is empty now."""
        gone = [self.remove(Spot(fd, name, (*path, name)), spared) for name in os.listdir(fd)]
        return all(gone)

    def defer(self, path: Path, mode: int, mtime_ns: int) -> None:
        """Note the mode and time that a directory gets in the end."""
        self._modes[path] = mode
        self._times[path] = mtime_ns

    def apply_deferred(self) -> None:
        """Set the times and modes of all directories that were changed and are still there."""
        for path, mtime_ns in sorted(self._times.items(), reverse=True):
            with suppress(FileNotFoundError, NotADirectoryError), self.directory(path) as fd:
                os.utime(fd, ns=(mtime_ns, mtime_ns))
                if path in self._modes:
                    os.fchmod(fd, self._modes[path])
        self._times.clear()
        self._modes.clear()

    def _keep(self, path: Path, fd: int) -> None:
        """Note the time and mode of a directory before something in it changes."""
        if path in self._times:
            return
        status = os.fstat(fd)
        self._times[path] = status.st_mtime_ns
        if not status.st_mode & stat.S_IWUSR and os.geteuid() == status.st_uid:
            self._modes.setdefault(path, stat.S_IMODE(status.st_mode))
            os.fchmod(fd, stat.S_IMODE(status.st_mode) | stat.S_IRWXU)

    def _walk(self, path: Path) -> tuple[int, Path]:
        """Open the directory above a path; give it and its path without links."""
        here: list[str] = []
        pending, links = list(path[:-1]), 0
        fd = os.dup(self._fd)
        try:
            while pending:
                name = pending.pop(0)
                if name == "..":
                    if not here:
                        raise WireFormat("a link on the way leads out of the root", show(path))
                    here.pop()
                    fd = self._instead(fd, here)
                    continue
                try:
                    fd = _enter(fd, name)
                    here.append(name)
                except FileNotFoundError:
                    self._make(fd, tuple(here), name)
                    pending.insert(0, name)
                except NotADirectoryError:
                    links += 1
                    target = _target(fd, name, path, links)
                    pending[:0] = [part for part in target.split("/") if part not in ("", ".")]
                    if target.startswith("/"):
                        here.clear()
                        fd = self._instead(fd, here)
        except BaseException:
            os.close(fd)
            raise
        return fd, tuple(here)

    def _instead(self, fd: int, here: list[str]) -> int:
        """Open the directory `here`, and close `fd`."""
        with self.directory(tuple(here)) as found:
            os.dup2(found, fd, inheritable=False)
        return fd

    def _make(self, fd: int, above: Path, name: str) -> None:
        self._keep(above, fd)
        os.mkdir(name, _PARENT_MODE, dir_fd=fd)
        os.chmod(name, _PARENT_MODE, dir_fd=fd)
        self._times[(*above, name)] = 0


def _enter(fd: int, name: str) -> int:
    """Open a directory in the directory `fd`, which is closed. Raises OSError, `fd` still open."""
    try:
        entered = os.open(name, _DIRECTORY, dir_fd=fd)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotADirectoryError(errno.ENOTDIR, "a link") from error
        raise
    os.close(fd)
    return entered


def _target(fd: int, name: str, path: Path, links: int) -> str:
    """Give the target of a link. Raises WireFormat if it is no link, or one too many."""
    if links > _MOST_LINKS:
        raise WireFormat("too many links are on the way", show(path))
    try:
        return os.readlink(name, dir_fd=fd)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise WireFormat(f"{name!r} on the way is not a directory", show(path)) from error
