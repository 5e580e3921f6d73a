"""Copying a directory with all that is in it: the cheapest way that the file system has."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cachexport.builder.tree import is_of_the_machine
from cachexport.content.verify import BLOCK

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

    from cachexport.builder.names import Path

_FICLONE = 0x4004_9409
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS)
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DEVICES = (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO)

Trace = tuple[int, int]
"""A file's inode and the time of its last change of any kind, which nobody can set."""


def trace(status: os.stat_result) -> Trace:
    """Give what changes whenever a file's content does."""
    return status.st_ino, status.st_ctime_ns


def clone_tree(source: pathlib.Path, target: pathlib.Path, *, owners: bool) -> dict[Path, Trace]:
    """Copy what is in `source` into the empty directory `target`, and its own attributes too.

    Hard links stay links to each other, holes stay holes, and where files can share their blocks
    they do. Without `owners` all is the process's own. Sockets are left out. Gives the trace of
    each file of `target`, by its path. Raises OSError.
    """
    cloning = _Cloning(source, target, owners)
    cloning.run()
    return cloning.traces()


def copy_attributes(
    source: pathlib.Path, target: pathlib.Path, status: os.stat_result, *, owners: bool
) -> None:
    """Give `target` all that `source`, of which `status` is, has beside its content.

    Raises OSError.
    """
    # In this order: what is set may clear what comes after it.
    if owners:
        os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    for name in os.listxattr(source, follow_symlinks=False):
        if not is_of_the_machine(name):
            value = os.getxattr(source, name, follow_symlinks=False)
            os.setxattr(target, name, value, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(target, stat.S_IMODE(status.st_mode))
    times = (status.st_atime_ns, status.st_mtime_ns)
    os.utime(target, ns=times, follow_symlinks=False)


@dataclass(slots=True)
class _Cloning:
    source: pathlib.Path
    target: pathlib.Path
    owners: bool
    _links: dict[Trace, Path] = field(default_factory=dict)
    """The first path of each file that has several."""
    _files: list[Path] = field(default_factory=list)
    _reflinks: bool = True

    def run(self) -> None:
        folders: list[tuple[Path, os.stat_result]] = []
        pending: list[Path] = [()]
        while pending:
            path = pending.pop()
            folders.append((path, os.lstat(self.source.joinpath(*path))))
            for name, status in self._entries(path):
                if stat.S_ISDIR(status.st_mode):
                    self.target.joinpath(*path, name).mkdir(0o700)
                    pending.append((*path, name))
                else:
                    self._copy((*path, name), status)
        # Last, the deepest first: what is made in a directory changes its time, and its mode may
        # forbid to make anything.
        for path, status in reversed(folders):
            self._finish(path, status)

    def traces(self) -> dict[Path, Trace]:
        """Give the traces as they are when all is done: each hard link changes the file's."""
        return {path: trace(os.lstat(self.target.joinpath(*path))) for path in self._files}

    def _entries(self, path: Path) -> Iterator[tuple[str, os.stat_result]]:
        with os.scandir(self.source.joinpath(*path)) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                if not stat.S_ISSOCK(status.st_mode):
                    yield entry.name, status

    def _copy(self, path: Path, status: os.stat_result) -> None:
        if stat.S_ISREG(status.st_mode):
            self._files.append(path)
        inode = (status.st_dev, status.st_ino)
        first = self._links.get(inode)
        if first is not None:
            os.link(self._made(first), self._made(path), follow_symlinks=False)
            return
        if status.st_nlink > 1:
            self._links[inode] = path
        self._make(path, status)
        self._finish(path, status)

    def _make(self, path: Path, status: os.stat_result) -> None:
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFLNK:
            os.symlink(os.readlink(self.source.joinpath(*path)), self._made(path))
        elif kind in _DEVICES:
            os.mknod(self._made(path), kind | 0o600, status.st_rdev)
        else:
            self._make_file(path, status.st_size)

    def _make_file(self, path: Path, size: int) -> None:
        source = os.open(self.source.joinpath(*path), _READ)
        try:
            target = os.open(self._made(path), _WRITE, 0o600)
            try:
                if not self._reflink(source, target):
                    _copy_content(source, target, size)
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _reflink(self, source: int, target: int) -> bool:
        if self._reflinks:
            try:
                fcntl.ioctl(target, _FICLONE, source)
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise
                self._reflinks = False
        return self._reflinks

    def _finish(self, path: Path, status: os.stat_result) -> None:
        source = self.source.joinpath(*path)
        copy_attributes(source, self._made(path), status, owners=self.owners)

    def _made(self, path: Path) -> pathlib.Path:
        return self.target.joinpath(*path)


def _copy_content(source: int, target: int, size: int) -> None:
    """Copy what is not a hole."""
    for start, end in _stretches(source, size):
        at = start
        while at < end:
            block = os.pread(source, min(BLOCK, end - at), at)
            if not block:
                break
            at += os.pwrite(target, block, at)
    os.ftruncate(target, size)


def _stretches(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Give where data is in a file; where the file system does not tell, all of it is."""
    at = 0
    with suppress(OSError):  # ENXIO: nothing but a hole is left
        while at < size:
            start = os.lseek(fd, at, os.SEEK_DATA)
            at = os.lseek(fd, start, os.SEEK_HOLE)
            yield start, at
