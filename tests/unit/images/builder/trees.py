"""Random directories with all that root can make, and how hypothesis draws them."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

import hypothesis.strategies as st

if TYPE_CHECKING:
    from pathlib import Path

NAMES = st.one_of(
    st.sampled_from([b"a", b"b", b"c"]),
    st.binary(min_size=1, max_size=12).filter(
        lambda name: (
            not {0, ord("/")} & set(name)
            and name not in (b".", b"..")
            and not name.startswith(b".wh.")
        )
    ),
    st.just(b"n" * 255),
)
KINDS = st.sampled_from(["file", "file", "file", "dir", "dir", "link", "fifo", "char", "block"])
XATTRS = st.dictionaries(
    st.sampled_from(["trusted.a", "trusted.ü", "security.capability"]),
    st.binary(max_size=20),
    max_size=2,
)
CAPABILITY = b"\x01\x00\x00\x02" + bytes(16)


@dataclass(frozen=True)
class Thing:
    kind: str
    content: bytes
    mode: int
    owner: tuple[int, int]
    mtime_ns: int
    xattrs: tuple[tuple[str, bytes], ...]
    below: Below


Below = tuple[tuple[bytes, Thing], ...]


def things(below: st.SearchStrategy[Below]) -> st.SearchStrategy[Thing]:
    return st.builds(
        Thing,
        kind=KINDS,
        content=st.one_of(st.binary(min_size=1, max_size=20), st.just(b"x" * 1000)),
        mode=st.sampled_from([0, 0o644, 0o755, 0o4711, 0o2750, 0o1777]),
        owner=st.sampled_from([(0, 0), (1, 2), (3_000_000, 70_000)]),
        mtime_ns=st.sampled_from([0, 1, 10**18, 10**18 + 123_456_789, -1_500_000_000]),
        xattrs=XATTRS.map(lambda found: tuple(sorted(found.items()))),
        below=below,
    )


FOLDERS = st.recursive(
    st.just(()),
    lambda below: st.dictionaries(NAMES, things(below), max_size=4).map(
        lambda found: tuple(found.items())
    ),
    max_leaves=12,
)
LINKS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), NAMES), max_size=4)
"""Hard links: which file, in which directory, under which name."""


def make(place: Path, below: Below, links: list[tuple[int, int, bytes]]) -> None:
    """Make a directory; what is linked is linked before attributes and times are set."""
    made: list[tuple[bytes, Thing]] = []
    root = os.fsencode(place)
    os.mkdir(root)
    _make_below(root, below, made)
    folders = [root, *(path for path, thing in made if thing.kind == "dir")]
    files = [path for path, thing in made if thing.kind != "dir"]
    for source, folder, name in links:
        target = os.path.join(folders[folder % len(folders)], name)
        if files and not os.path.lexists(target):
            os.link(files[source % len(files)], target, follow_symlinks=False)
    for path, thing in reversed(made):
        _finish(path, thing)
    os.utime(root, ns=(10**18, 10**18))


def _make_below(above: bytes, below: Below, made: list[tuple[bytes, Thing]]) -> None:
    for name, thing in below:
        path = os.path.join(above, name)
        _make_one(path, thing)
        made.append((path, thing))
        if thing.kind == "dir":
            _make_below(path, thing.below, made)


def _make_one(path: bytes, thing: Thing) -> None:
    if thing.kind == "dir":
        os.mkdir(path)
    elif thing.kind == "file":
        with open(path, "wb") as file:
            file.write(thing.content)
            if thing.mode == 0:
                file.truncate(100_000)
    elif thing.kind == "link":
        os.symlink(thing.content.replace(b"\0", b"0"), path)
    elif thing.kind == "fifo":
        os.mkfifo(path)
    else:
        kind = stat.S_IFCHR if thing.kind == "char" else stat.S_IFBLK
        os.mknod(path, kind | 0o600, os.makedev(len(thing.content), thing.content[0]))


def _finish(path: bytes, thing: Thing) -> None:
    os.chown(path, *thing.owner, follow_symlinks=False)
    if thing.kind != "link":
        os.chmod(path, thing.mode)
    for name, value in thing.xattrs:
        is_capability = name == "security.capability"
        if is_capability and thing.kind != "file":
            continue
        os.setxattr(path, name, CAPABILITY if is_capability else value, follow_symlinks=False)
    os.utime(path, ns=(thing.mtime_ns, thing.mtime_ns), follow_symlinks=False)
