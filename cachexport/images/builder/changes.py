"""What changed from one directory to another."""

from __future__ import annotations

import dataclasses
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.verify import BLOCK
from cachexport.errors import InvalidInputError
from cachexport.images.builder.names import WHITEOUT, show
from cachexport.images.builder.tree import order, scan

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Mapping

    from cachexport.images.builder.names import Path
    from cachexport.images.builder.tree import Node, Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a layer says of all its entries instead of what the directory says."""

    latest: int | None = None
    """Seconds since 1970: what was changed later gets this time, as BuildKit's rewrite-timestamp
    and the variable SOURCE_DATE_EPOCH have it."""
    mtime: int | None = None
    """Seconds since 1970: everything gets this time."""
    owner: tuple[int, int] | None = None
    """The uid and gid of everything."""

    def applied(self, node: Node) -> Node:
        """Give the node as the layer shall say it is."""
        uid, gid = self.owner or (node.uid, node.gid)
        mtime_ns = node.mtime_ns if self.mtime is None else self.mtime * 10**9
        if self.latest is not None:
            mtime_ns = min(mtime_ns, self.latest * 10**9)
        return dataclasses.replace(node, uid=uid, gid=gid, mtime_ns=mtime_ns)


@dataclass(frozen=True, slots=True)
class Change:
    """A path that is new or different, as `node`, or that was removed, where there is none."""

    path: Path
    node: Node | None


def changes(lower: pathlib.Path | None, upper: pathlib.Path, policy: Policy) -> list[Change]:
    """Give what makes `upper` of `lower`, or of an empty directory, in the order of paths.

    Files are compared with their content. Raises OSError, and InvalidInputError for a name that
    would be a marker in a layer.
    """
    new = scan(upper)
    if lower is None:
        check_names(new)
        return [Change(path, policy.applied(node)) for path, node in new.items() if path]
    old = scan(lower)
    return compared(Comparison(lower, upper, old, new, removed(_kinds(old), _kinds(new))), policy)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two directories, and what is in them as far as it may differ."""

    lower: pathlib.Path
    upper: pathlib.Path
    old: Tree
    new: Tree
    removed: list[Path]
    """What is not there any more, but for what was below something that is gone."""
    touched: Callable[[Path], bool] = lambda path: True
    """Whether the content of a file may differ when nothing else does."""


def compared(two: Comparison, policy: Policy) -> list[Change]:
    """Give what makes the new directory of the old one. Raises as `changes` does."""
    check_names(two.new)
    found = [Change(path, None) for path in two.removed]
    for path, node in two.new.items():
        now, before = policy.applied(node), two.old.get(path)
        is_same = before is not None and policy.applied(before) == now
        if not is_same or (two.touched(path) and not _same_content(two, path, node)):
            found.append(Change(path, now))
    return sorted(found, key=lambda change: order(change.path))


def removed(old: Mapping[Path, int], new: Mapping[Path, int]) -> list[Path]:
    """Give what is not there any more, of two trees that say the kinds of their paths.

    What was in something that is gone goes with it.
    """

    def stays(path: Path) -> bool:
        return all(stat.S_ISDIR(tree.get(path, 0)) for tree in (old, new))

    return [path for path in old if path not in new and stays(path[:-1])]


def _kinds(tree: Tree) -> dict[Path, int]:
    return {path: node.kind for path, node in tree.items()}


def check_names(new: Tree) -> None:
    """Raise InvalidInputError for what no layer can have."""
    for path, node in new.items():
        if path and path[-1].startswith(WHITEOUT):
            raise InvalidInputError(f"no layer can have the name {show(path)}; rename it")
        if node.kind == stat.S_IFCHR and node.device == 0:
            raise InvalidInputError(f"no layer can have the device 0:0, as {show(path)} is")


def _same_content(two: Comparison, path: Path, node: Node) -> bool:
    if node.kind != stat.S_IFREG:
        return True
    with open(two.lower.joinpath(*path), "rb") as old, open(two.upper.joinpath(*path), "rb") as new:
        if os.path.samestat(os.fstat(old.fileno()), os.fstat(new.fileno())):
            return True
        while block := new.read(BLOCK):
            if block != old.read(BLOCK):
                return False
    return True
