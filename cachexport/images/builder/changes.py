"""What changed from one directory to another, without reading what cannot have changed."""

from __future__ import annotations

import dataclasses
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.verify import BLOCK
from cachexport.errors import InvalidInputError
from cachexport.images.builder.names import WHITEOUT, show
from cachexport.images.builder.tree import Stamp, linked, nodes, order, scan, walk

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Mapping

    from cachexport.images.builder.names import Path
    from cachexport.images.builder.overlay import Overlay
    from cachexport.images.builder.tree import Record, Tree, TreeNode


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Times and owners that a layer gives all its entries, instead of the directory's."""

    latest: int | None = None
    """Seconds since 1970: later times become this one, as with BuildKit's rewrite-timestamp and
    SOURCE_DATE_EPOCH."""
    mtime: int | None = None
    """Seconds since 1970: everything gets this time."""
    owner: tuple[int, int] | None = None
    """The uid and gid of everything."""

    def applied(self, node: TreeNode) -> TreeNode:
        """Give the node with the times and owners of the policy."""
        uid, gid = self.owner or (node.uid, node.gid)
        mtime_ns = node.mtime_ns if self.mtime is None else self.mtime * 10**9
        if self.latest is not None:
            mtime_ns = min(mtime_ns, self.latest * 10**9)
        return dataclasses.replace(node, uid=uid, gid=gid, mtime_ns=mtime_ns)


@dataclass(frozen=True, slots=True)
class Change:
    """A path that is new or different, with its `node`, or that was removed, without one."""

    path: Path
    node: TreeNode | None


def changes(lower: pathlib.Path | None, upper: pathlib.Path, policy: Policy) -> list[Change]:
    """Give the changes from `lower`, or an empty directory, to `upper`, in the order of paths.

    Files are compared with their content. Raises OSError, and InvalidInputError for a name that
    would be a marker in a layer.
    """
    new = scan(upper)
    if lower is None:
        check_names(new)
        return [Change(path, policy.applied(node)) for path, node in new.items() if path]
    old = scan(lower)
    return compare(
        Comparison(lower, upper, old, new, find_removed(_kinds(old), _kinds(new))), policy
    )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two directories, and those of their entries that may differ."""

    lower: pathlib.Path
    upper: pathlib.Path
    old: Tree
    new: Tree
    removed: list[Path]
    """Removed paths, without those below other removed paths."""
    touched: Callable[[Path], bool] = lambda path: True
    """Whether the content of a file may differ when nothing else does."""


def compare(two: Comparison, policy: Policy) -> list[Change]:
    """Give the changes from the old directory to the new one. Raises as `changes` does."""
    check_names(two.new)
    found = [Change(path, None) for path in two.removed]
    for path, node in two.new.items():
        now, before = policy.applied(node), two.old.get(path)
        is_same = before is not None and policy.applied(before) == now
        if not is_same or (two.touched(path) and not _same_content(two, path, node)):
            found.append(Change(path, now))
    return sorted(found, key=lambda change: order(change.path))


def find_removed(old: Mapping[Path, int], new: Mapping[Path, int]) -> list[Path]:
    """Give the removed paths of two trees, which map paths to their kinds.

    Paths below another removed path are left out.
    """

    def stays(path: Path) -> bool:
        return all(stat.S_ISDIR(tree.get(path, 0)) for tree in (old, new))

    return [path for path in old if path not in new and stays(path[:-1])]


def _kinds(tree: Tree) -> dict[Path, int]:
    return {path: node.kind for path, node in tree.items()}


def check_names(new: Tree) -> None:
    """Raise InvalidInputError for names and devices that no layer can have."""
    for path, node in new.items():
        if path and path[-1].startswith(WHITEOUT):
            raise InvalidInputError(f"no layer can have the name {show(path)}; rename it")
        if node.kind == stat.S_IFCHR and node.device == 0:
            raise InvalidInputError(f"no layer can have the device 0:0, as {show(path)} is")


def _same_content(two: Comparison, path: Path, node: TreeNode) -> bool:
    if node.kind != stat.S_IFREG:
        return True
    with open(two.lower.joinpath(*path), "rb") as old, open(two.upper.joinpath(*path), "rb") as new:
        if os.path.samestat(os.fstat(old.fileno()), os.fstat(new.fileno())):
            return True
        while block := new.read(BLOCK):
            if block != old.read(BLOCK):
                return False
    return True


_REDIRECT = "trusted.overlay.redirect"


def copy_changes(
    lower: pathlib.Path, upper: pathlib.Path, record: Record, policy: Policy
) -> list[Change]:
    """Give the changes from `lower` to `upper`, its copy when `record` was taken.

    Raises as `changes` does.
    """
    found = walk(upper)
    stamps = {path: Stamp.of(status) for path, status in found.items()}
    links, old_links = linked(stamps), linked(record)
    touched = {
        path: status
        for path, status in found.items()
        if stamps[path] != record.get(path) or links.get(path) != old_links.get(path)
    }
    old = _statuses(lower, [path for path in touched if path in record])
    gone = find_removed(_modes(record), _modes(stamps))
    two = Comparison(lower, upper, nodes(lower, old, old_links), nodes(upper, touched, links), gone)
    return compare(two, policy)


def overlay_changes(lower: pathlib.Path, overlay: Overlay, policy: Policy) -> list[Change]:
    """Give the changes from `lower` to an overlay on it. Raises as `changes` does."""
    walk = _OverlayWalk(lower, overlay)
    walk.run()
    if walk.is_redirected or os.listdir(overlay.index):
        return compare(_whole(lower, overlay, walk.found), policy)
    found = dict(sorted(walk.found.items()))
    links = linked({path: Stamp.of(status) for path, status in found.items()})
    old = _statuses(lower, [path for path in found if path[:-1] in walk.old_folders])
    two = Comparison(
        lower, overlay.root, nodes(lower, old, {}), nodes(overlay.root, found, links), walk.gone
    )
    return compare(two, policy)


def copy_links_up(overlay: Overlay) -> None:
    """Copy all hard links of a file up into an overlay that has one of them. Raises OSError.

    Below other overlays, only its own directory tells that they are links to each other.
    """
    if not os.listdir(overlay.index):
        return
    links = linked({path: Stamp.of(status) for path, status in walk(overlay.root).items()})
    for path, group in links.items():
        if any(overlay.own_has(each) for each in group) and not overlay.own_has(path):
            place = overlay.root.joinpath(*path)
            status = os.lstat(place)
            # Any change copies the file up; this one changes nothing else.
            times = (status.st_atime_ns, status.st_mtime_ns)
            os.utime(place, ns=times, follow_symlinks=False)


def _whole(
    lower: pathlib.Path, overlay: Overlay, found: Mapping[Path, os.stat_result]
) -> Comparison:
    """Compare everything but content: a file may have changed through another hard link."""
    old, new = scan(lower), scan(overlay.root)

    def is_touched(path: Path) -> bool:
        return any(each in found for each in (path, *new[path].links))

    kinds = [{path: node.kind for path, node in tree.items()} for tree in (old, new)]
    return Comparison(lower, overlay.root, old, new, find_removed(*kinds), is_touched)


class _OverlayWalk:
    """Finds the paths that an overlay changed, and those that it removed."""

    def __init__(self, lower: pathlib.Path, overlay: Overlay) -> None:
        self._lower = lower
        self._overlay = overlay
        self.found: dict[Path, os.stat_result] = {}
        self.gone: list[Path] = []
        self.old_folders: set[Path] = set()
        """Directories in both."""
        self.is_redirected = False

    def run(self) -> None:
        self.found[()] = os.lstat(self._overlay.root)
        self._pending: list[tuple[Path, bool]] = [((), False)]
        while self._pending:
            self._look_in(*self._pending.pop())

    def _look_in(self, above: Path, moved: bool) -> None:
        """Look into a directory; one that was moved here is new as a whole."""
        there = set(os.listdir(self._overlay.root.joinpath(*above)))
        own = there if moved else there.intersection(self._own(above))
        for name in own:
            path = (*above, name)
            status = os.lstat(self._overlay.root.joinpath(*path))
            if stat.S_ISSOCK(status.st_mode):
                there = there - {name}
                continue
            self.found[path] = status
            if stat.S_ISDIR(status.st_mode):
                self._pending.append((path, moved or self._is_moved(path)))
        self.gone += [(*above, name) for name in self._old(above) if name not in there]

    def _own(self, above: Path) -> list[str]:
        return os.listdir(self._overlay.own.joinpath(*above))

    def _is_moved(self, path: Path) -> bool:
        place = self._overlay.own.joinpath(*path)
        is_moved = _REDIRECT in os.listxattr(place, follow_symlinks=False)
        self.is_redirected |= is_moved
        return is_moved

    def _old(self, above: Path) -> list[str]:
        """Give the names that a directory had below, none when it was no directory."""
        if above and above[:-1] not in self.old_folders:
            return []
        status = _status(self._lower.joinpath(*above))
        if status is None or not stat.S_ISDIR(status.st_mode):
            return []
        self.old_folders.add(above)
        return os.listdir(self._lower.joinpath(*above))


def _statuses(place: pathlib.Path, paths: list[Path]) -> dict[Path, os.stat_result]:
    found = ((path, _status(place.joinpath(*path))) for path in paths)
    return {path: status for path, status in found if status is not None}


def _status(place: pathlib.Path) -> os.stat_result | None:
    try:
        return os.lstat(place)
    except FileNotFoundError:
        return None


def _modes(stamps: Mapping[Path, Stamp]) -> dict[Path, int]:
    return {path: stamp.mode for path, stamp in stamps.items()}
