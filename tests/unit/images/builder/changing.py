"""Changes of all kinds to a directory, the same whenever the directory is the same."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

import hypothesis.strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Step = tuple[str, int, int, int]
"""What is done, to which path, and two more numbers that it may need."""


def apply(root: Path, steps: list[Step]) -> None:
    for name, number, other, more in steps:
        paths = everything(os.fsencode(root))
        path = paths[number % len(paths)]
        # Some cannot be done here: then they can be done nowhere.
        with suppress(FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError):
            DOINGS[name](path, paths[other % len(paths)], more)


def everything(root: bytes) -> list[bytes]:
    found = [root]
    for above, folders, files in os.walk(root):
        found += [os.path.join(above, name) for name in (*folders, *files)]
    return sorted(found)


def inside(path: bytes, more: int) -> bytes:
    """Give a name in a directory, or beside what is none: an old or a new one."""
    folder = path if is_folder(path) else os.path.dirname(path)
    old = sorted(os.listdir(folder))
    return os.path.join(folder, [*old, b"new1", b"new2"][more % (len(old) + 2)])


def is_folder(path: bytes) -> bool:
    return stat.S_ISDIR(os.lstat(path).st_mode)


def is_file(path: bytes) -> bool:
    return stat.S_ISREG(os.lstat(path).st_mode)


def write(path: bytes, other: bytes, more: int) -> None:
    if is_file(path):
        with open(path, "r+b") as file:
            file.seek(more % 3)
            file.write(b"changed"[: more % 5])


def write_same(path: bytes, other: bytes, more: int) -> None:
    if is_file(path):
        status = os.lstat(path)
        with open(path, "r+b") as file:
            content = file.read(10)
            file.seek(0)
            file.write(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def write_secretly(path: bytes, other: bytes, more: int) -> None:
    """Change the content, and leave size and time as they were."""
    if is_file(path) and (size := os.lstat(path).st_size):
        status = os.lstat(path)
        with open(path, "r+b") as file:
            file.write(bytes([more % 256]) * min(size, 5))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def truncate(path: bytes, other: bytes, more: int) -> None:
    if is_file(path):
        os.truncate(path, more * 100_000 % 300_000)


def create(path: bytes, other: bytes, more: int) -> None:
    with open(inside(path, more), "xb") as file:
        file.write(b"made")


def make_folder(path: bytes, other: bytes, more: int) -> None:
    os.mkdir(inside(path, more))


def remove(path: bytes, other: bytes, more: int) -> None:
    if not is_folder(path):
        os.unlink(path)
    elif os.path.basename(path) not in (b"m", b"d"):  # not the root
        shutil.rmtree(path)


def make_again(path: bytes, other: bytes, more: int) -> None:
    """Remove something, and put in its place what has the same name and attributes."""
    status = os.lstat(path)
    if os.path.basename(path) in (b"m", b"d"):
        return
    remove(path, other, more)
    os.mkdir(path) if stat.S_ISDIR(status.st_mode) else open(path, "xb").close()
    os.chmod(path, stat.S_IMODE(status.st_mode))
    os.chown(path, status.st_uid, status.st_gid)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def rename(path: bytes, other: bytes, more: int) -> None:
    target = inside(other, more)
    is_below = (target + b"/").startswith(path + b"/") or (path + b"/").startswith(target + b"/")
    if is_below or (os.path.lexists(target) and is_folder(target)):
        return
    if not (is_folder(path) and os.path.lexists(target)):
        os.rename(path, target)


def rename_and_back(path: bytes, other: bytes, more: int) -> None:
    if os.path.basename(path) not in (b"m", b"d"):
        aside = os.path.join(os.path.dirname(path), b"aside")
        os.rename(path, aside)
        os.rename(aside, path)


def link(path: bytes, other: bytes, more: int) -> None:
    if not is_folder(path):
        os.link(path, inside(other, more), follow_symlinks=False)


def make_link(path: bytes, other: bytes, more: int) -> None:
    os.symlink(b"to %d" % more, inside(path, more))


def make_node(path: bytes, other: bytes, more: int) -> None:
    kind = (stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK)[more % 3]
    os.mknod(inside(path, more), kind | 0o600, os.makedev(1, more))


def make_socket(path: bytes, other: bytes, more: int) -> None:
    place = inside(path, more)
    if not os.path.lexists(place):
        fd = os.open(os.path.dirname(place), os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(b"/proc/self/fd/%d/%s" % (fd, os.path.basename(place)[:60]))
        os.close(fd)


def change_mode(path: bytes, other: bytes, more: int) -> None:
    if not stat.S_ISLNK(os.lstat(path).st_mode):
        os.chmod(path, (0o644, 0o4755, 0o2750, 0o1777, 0)[more % 5])


def change_owner(path: bytes, other: bytes, more: int) -> None:
    os.chown(path, more, more + 1, follow_symlinks=False)


def change_time(path: bytes, other: bytes, more: int) -> None:
    os.utime(path, ns=(more, more + 5), follow_symlinks=False)


def set_attribute(path: bytes, other: bytes, more: int) -> None:
    os.setxattr(path, "trusted.b", b"%d" % more, follow_symlinks=False)


def remove_attributes(path: bytes, other: bytes, more: int) -> None:
    for name in os.listxattr(path, follow_symlinks=False):
        os.removexattr(path, name, follow_symlinks=False)


DOINGS: dict[str, Callable[[bytes, bytes, int], None]] = {
    doing.__name__: doing
    for doing in (
        *(write, write_same, write_secretly, truncate, create, make_folder, remove, make_again),
        *(rename, rename_and_back, link, make_link, make_node, make_socket),
        *(change_mode, change_owner, change_time, set_attribute, remove_attributes),
    )
}
STEPS = st.lists(
    st.tuples(
        st.sampled_from(sorted(DOINGS)),
        st.integers(0, 60),
        st.integers(0, 60),
        st.integers(0, 20),
    ),
    min_size=1,
    max_size=8,
)
