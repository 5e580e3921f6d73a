"""Trees of files: read in one canonical order, recorded, and copied."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator, Mapping

    from cachexport.images.builder.names import Path


_OF_THE_MACHINE = ("security.selinux", "trusted.overlay.", "user.overlay.")


def is_of_the_machine(name: str) -> bool:
    """Say whether an extended attribute is the machine's own, which no layer has."""
    return name.startswith(_OF_THE_MACHINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeNode:
    """A file or directory in a tree. Two are equal when they differ in nothing but content."""

    kind: int
    """As in the mode: `stat.S_IFREG` …"""
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int = 0
    """Of files, in bytes."""
    device: int = 0
    target: str = ""
    """Of symbolic links."""
    xattrs: tuple[tuple[str, bytes], ...] = ()
    links: tuple[Path, ...] = ()
    """All paths that are hard links to it, sorted, when there are several in the tree."""

    @property
    def is_directory(self) -> bool:
        """Whether it can have something in it."""
        return self.kind == stat.S_IFDIR


Tree: TypeAlias = "dict[Path, TreeNode]"


class Stamp(NamedTuple):
    """Changes when anything of a file does, its content too."""

    device: int
    inode: int
    ctime_ns: int
    mode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Give the stamp of a status."""
        return cls(status.st_dev, status.st_ino, status.st_ctime_ns, status.st_mode)


def order(path: Path) -> list[bytes]:
    """Give the sort key of a path: a directory comes right before its entries."""
    return [os.fsencode(name) for name in path]


def scan(place: pathlib.Path) -> Tree:
    """Read all that is in a directory, itself included, sorted, or a file alone.

    Sockets are left out. Raises OSError.
    """
    found = walk(place)
    return nodes(place, found, linked({path: Stamp.of(found[path]) for path in found}))


def walk(place: pathlib.Path) -> dict[Path, os.stat_result]:
    """Give the status of all in a directory, itself included, sorted. Sockets are left out."""
    return dict(sorted(_walk(place), key=lambda item: order(item[0])))


def linked(stamps: Mapping[Path, Stamp]) -> dict[Path, tuple[Path, ...]]:
    """Give for each path with hard links all of them, sorted."""
    groups: dict[tuple[int, int], list[Path]] = {}
    for path, stamp in stamps.items():
        if not stat.S_ISDIR(stamp.mode):
            groups.setdefault((stamp.device, stamp.inode), []).append(path)
    several = (tuple(sorted(group, key=order)) for group in groups.values() if len(group) > 1)
    return {path: group for group in several for path in group}


def nodes(
    place: pathlib.Path,
    found: Mapping[Path, os.stat_result],
    links: Mapping[Path, tuple[Path, ...]],
) -> Tree:
    """Read what was found in a directory."""
    return {
        path: _node(place.joinpath(*path), status, links.get(path, ()))
        for path, status in found.items()
    }


def _walk(place: pathlib.Path) -> Iterator[tuple[Path, os.stat_result]]:
    status = os.lstat(place)
    yield (), status
    pending: list[Path] = [()] if stat.S_ISDIR(status.st_mode) else []
    while pending:
        above = pending.pop()
        with os.scandir(place.joinpath(*above)) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISSOCK(status.st_mode):
                    continue
                yield (*above, entry.name), status
                if stat.S_ISDIR(status.st_mode):
                    pending.append((*above, entry.name))


def _node(place: pathlib.Path, status: os.stat_result, links: tuple[Path, ...]) -> TreeNode:
    kind = stat.S_IFMT(status.st_mode)
    return TreeNode(
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime_ns=status.st_mtime_ns,
        size=status.st_size if kind == stat.S_IFREG else 0,
        device=status.st_rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0,
        target=os.readlink(place) if kind == stat.S_IFLNK else "",
        xattrs=tuple(
            (name, os.getxattr(place, name, follow_symlinks=False)) for name in xattrs(place)
        ),
        links=links,
    )


def xattrs(place: pathlib.Path | str) -> list[str]:
    """Give the names of the extended attributes that a layer has, sorted."""
    names = os.listxattr(place, follow_symlinks=False)
    return sorted(name for name in names if not is_of_the_machine(name))


_CLONE = 0x4004_9409  # FICLONE
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_AT_ONCE = 1 << 30

Record = dict[tuple[str, ...], Stamp]
"""Stamps of everything in a directory when it was made."""


def copy_tree(source: pathlib.Path, target: pathlib.Path) -> None:
    """Copy `source` into the empty directory `target`, with hard links, holes and times.

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


def record_tree(place: pathlib.Path) -> Record:
    """Record the stamps of a directory, so that every later change shows.

    A file system's clock ticks every few milliseconds; this waits for the next tick.
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
    """Open a file, even if its mode denies that to its owner."""
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
    """Let two files share their data, where the file system can do that."""
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
    """Give where data begins at or after `at`: far beyond the end when there is no more."""
    try:
        return os.lseek(fd, at, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return 1 << 62
