"""What is in a directory, in one canonical order."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator, Mapping

    from cachexport.images.builder.names import Path

_OF_THE_MACHINE = ("security.selinux", "trusted.overlay.", "user.overlay.")


def is_of_the_machine(name: str) -> bool:
    """Say whether a machine gives things this extended attribute for itself: no layer says it."""
    return name.startswith(_OF_THE_MACHINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One thing in a tree. Two are equal when nothing but content tells them apart."""

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


Tree: TypeAlias = "dict[Path, Node]"


class Stamp(NamedTuple):
    """What has changed when anything of a thing has, its content too."""

    device: int
    inode: int
    ctime_ns: int
    mode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Give the stamp of what was looked at."""
        return cls(status.st_dev, status.st_ino, status.st_ctime_ns, status.st_mode)


def order(path: Path) -> list[bytes]:
    """Give what paths are sorted by: a directory comes right before what is in it."""
    return [os.fsencode(name) for name in path]


def scan(place: pathlib.Path) -> Tree:
    """Read all that is in a directory, itself included, sorted, or a file alone.

    Sockets are left out. Raises OSError.
    """
    found = walk(place)
    return nodes(place, found, linked({path: Stamp.of(found[path]) for path in found}))


def walk(place: pathlib.Path) -> dict[Path, os.stat_result]:
    """Look at all that is in a directory, itself included, sorted. Sockets are left out."""
    return dict(sorted(_walk(place), key=lambda item: order(item[0])))


def linked(stamps: Mapping[Path, Stamp]) -> dict[Path, tuple[Path, ...]]:
    """Give of each path that has hard links all of those, sorted."""
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


def _node(place: pathlib.Path, status: os.stat_result, links: tuple[Path, ...]) -> Node:
    kind = stat.S_IFMT(status.st_mode)
    return Node(
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
    """Give the names of the extended attributes that a layer says, sorted."""
    names = os.listxattr(place, follow_symlinks=False)
    return sorted(name for name in names if not is_of_the_machine(name))
