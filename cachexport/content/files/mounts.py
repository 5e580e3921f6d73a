"""Mounts on Linux: listing, mounting, unmounting."""

from __future__ import annotations

import ctypes
import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path

TABLE = Path("/proc/self/mountinfo")
READ_ONLY = 1
_DETACH = 2
_PRIVATE = 1 << 18 | 1 << 14  # with all below
_ESCAPE = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount: where, and the kind of file system."""

    point: Path
    kind: str


def mounted() -> list[Mount]:
    """Give all mounts that this process sees, oldest first; none where nothing tells."""
    try:
        # Split at "\n" only: a path may contain the other characters that splitlines() splits at.
        lines = TABLE.read_bytes().split(b"\n")
    except OSError:
        return []
    return [_mount(line) for line in lines if line]


def mount(kind: str, point: Path, options: str, flags: int = 0) -> None:
    """Mount a file system of this kind that has no device. Raises OSError."""
    name = kind.encode()
    _call("mount", name, os.fsencode(point), name, ctypes.c_ulong(flags), os.fsencode(options))


def unmount_below(place: Path) -> None:
    """Unmount all that is mounted at `place` and below it. Raises OSError.

    What is in use goes when it is used no more; its place is free at once. What is mounted there
    as it is elsewhere too, such as `/dev` with all below it, stays elsewhere.
    """
    below = mounts_at(place)
    for point in below:
        # Otherwise unmounting inside it would propagate to its other mount points.
        _call("mount", None, os.fsencode(point), None, ctypes.c_ulong(_PRIVATE), None)
    for point in reversed(below):
        _unmount(point)


def mounts_at(place: Path) -> list[Path]:
    """Give the points of what is mounted at `place` and below it."""
    place = place.resolve()
    return [found.point for found in mounted() if found.point.is_relative_to(place)]


def _unmount(point: Path) -> None:
    try:
        _call("umount2", os.fsencode(point), 0)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        _call("umount2", os.fsencode(point), _DETACH)


def sync_file_system(place: Path) -> None:
    """Wait until all that was written to the file system of `place` is on the disk."""
    fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _call("syncfs", fd)
    finally:
        os.close(fd)


def _call(name: str, *args: object) -> None:
    """Call a function of the C library that gives 0, or else an errno."""
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if function(*args):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _mount(line: bytes) -> Mount:
    """Read the mount point and the kind of one row; between them come optional fields."""
    fields, _, rest = line.partition(b" - ")
    point = _ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), fields.split(b" ")[4])
    return Mount(Path(os.fsdecode(point)), os.fsdecode(rest.split(b" ")[0]))
