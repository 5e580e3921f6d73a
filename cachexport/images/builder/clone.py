"""Copies of directories that cost little where the file system can share what files have."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cachexport.images.builder.tree import Stamp, linked, walk, xattrs

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

_CLONE = 0x4004_9409  # FICLONE
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_AT_ONCE = 1 << 30

Record = dict[tuple[str, ...], Stamp]
"""How all of a directory was when it was made."""


def copy_tree(source: pathlib.Path, target: pathlib.Path) -> None:
    """Make the empty directory `target` what `source` is: hard links, holes, times and all.

    Raises OSError.
    """
    found = walk(source)
    links = linked({path: Stamp.of(status) for path, status in found.items()})
    for path, status in found.items():
        if not path:
            continue
        old, new = source.joinpath(*path), target.joinpath(*path)
        group = links.get(path, (path,))
        if path != group[0]:
            os.link(target.joinpath(*group[0]), new, follow_symlinks=False)
        else:
            _make(old, new, status)
            if not stat.S_ISDIR(status.st_mode):
                copy_attributes(old, new, status)
    for path, status in reversed(found.items()):
        if stat.S_ISDIR(status.st_mode):
            copy_attributes(source.joinpath(*path), target.joinpath(*path), status)


def copy_attributes(
    source: pathlib.Path, target: pathlib.Path, status: os.stat_result | None = None
) -> None:
    """Give `target` the owner, mode, extended attributes and times that `source` has."""
    status = status or os.lstat(source)
    os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)
    # The mode may forbid the rest.
    for name in xattrs(source):
        value = os.getxattr(source, name, follow_symlinks=False)
        os.setxattr(target, name, value, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(target, stat.S_IMODE(status.st_mode))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)


def recorded(place: pathlib.Path) -> Record:
    """Record how a directory is, so that every change from now on shows.

    The clock of a file system stands still for some milliseconds; that is waited for.
    """
    record = {path: Stamp.of(status) for path, status in walk(place).items()}
    latest = max(stamp.ctime_ns for stamp in record.values())
    probe = place.parent / "clock"
    probe.touch()
    while probe.stat().st_ctime_ns <= latest:
        os.utime(probe)
    probe.unlink()
    return record


def _make(old: pathlib.Path, new: pathlib.Path, status: os.stat_result) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        os.mkdir(new, 0o700)
    elif kind == stat.S_IFLNK:
        os.symlink(os.readlink(old), new)
    elif kind == stat.S_IFREG:
        _copy_file(old, new, status)
    else:
        os.mknod(new, kind | 0o600, status.st_rdev)


def _copy_file(old: pathlib.Path, new: pathlib.Path, status: os.stat_result) -> None:
    with _reading(old, status) as source:
        target = os.open(new, _NEW_FILE, 0o600)
        try:
            if not _cloned(source, target):
                _copy_data(source, target, status.st_size)
        finally:
            os.close(target)


@contextmanager
def _reading(place: pathlib.Path, status: os.stat_result) -> Iterator[int]:
    """Open a file, also one whose mode keeps its own owner out."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(place, flags)
    except PermissionError:
        os.chmod(place, stat.S_IRUSR)
        try:
            fd = os.open(place, flags)
        finally:
            os.chmod(place, stat.S_IMODE(status.st_mode))
    try:
        yield fd
    finally:
        os.close(fd)


def _cloned(source: int, target: int) -> bool:
    """Let the two files share what they have, where the file system can do that."""
    try:
        fcntl.ioctl(target, _CLONE, source)
    except OSError:
        return False
    return True


def _copy_data(source: int, target: int, size: int) -> None:
    """Copy all but the holes."""
    end = 0
    while (start := _next_data(source, end)) < size:
        end = os.lseek(source, start, os.SEEK_HOLE)
        os.lseek(target, start, os.SEEK_SET)
        while start < end:
            sent = os.sendfile(target, source, start, min(end - start, _AT_ONCE))
            if not sent:
                break
            start += sent
    os.ftruncate(target, size)


def _next_data(fd: int, at: int) -> int:
    """Give where data begins at or behind `at`: far behind the end when there is no more."""
    try:
        return os.lseek(fd, at, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return 1 << 62
