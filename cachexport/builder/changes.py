"""What changed from one directory to another."""

from __future__ import annotations

import dataclasses
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.builder.names import WHITEOUT, show
from cachexport.builder.tree import order, scan
from cachexport.content.verify import BLOCK
from cachexport.errors import InvalidInputError

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterable, Iterator

    from cachexport.builder.names import Path
    from cachexport.builder.tree import Node, Tree


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


def changes(
    lower: pathlib.Path | None,
    upper: pathlib.Path,
    policy: Policy,
    is_untouched: Callable[[Path, Node], bool] | None = None,
) -> list[Change]:
    """Give what makes `upper` of `lower`, or of an empty directory, in the order of paths.

    Files are compared with their content, but for those of which `is_untouched` knows that it is
    the same. Raises OSError, and InvalidInputError for a name that
    would be a marker in a layer.
    """
    new = _scanned(upper, policy)
    check_names(new)
    if lower is None:
        return [Change(path, node) for path, node in new.items() if path]
    old = _scanned(lower, policy)
    found = [Change(path, None) for path in _removed(old, new)]
    found += [
        Change(path, node)
        for path, node in new.items()
        if old.get(path) != node
        or not (
            node.kind != stat.S_IFREG
            or (is_untouched is not None and is_untouched(path, node))
            or _same_content(lower, upper, path)
        )
    ]
    return sorted(found, key=lambda change: order(change.path))


def check_names(paths: Iterable[Path]) -> None:
    """Raise InvalidInputError for a name that would be a marker in a layer."""
    for path in paths:
        if path and path[-1].startswith(WHITEOUT):
            raise InvalidInputError(f"no layer can have the name {show(path)}; rename it")


def _scanned(place: pathlib.Path, policy: Policy) -> Tree:
    return {path: policy.applied(node) for path, node in scan(place).items()}


def _removed(old: Tree, new: Tree) -> Iterator[Path]:
    """Give what is not there any more; what was in something that is gone goes with it."""
    for path in old:
        above = path[:-1]
        stays = above in new and new[above].is_directory and old[above].is_directory
        if path not in new and stays:
            yield path


def _same_content(lower: pathlib.Path, upper: pathlib.Path, path: Path) -> bool:
    with open(lower.joinpath(*path), "rb") as old, open(upper.joinpath(*path), "rb") as new:
        if os.path.samestat(os.fstat(old.fileno()), os.fstat(new.fileno())):
            return True
        while block := new.read(BLOCK):
            if block != old.read(BLOCK):
                return False
    return True
