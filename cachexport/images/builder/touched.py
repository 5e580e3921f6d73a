"""What changed in a writable directory, without reading what cannot have changed."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from cachexport.images.builder.changes import Comparison, compared, removed
from cachexport.images.builder.tree import Stamp, linked, nodes, scan, walk

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping

    from cachexport.images.builder.changes import Change, Policy
    from cachexport.images.builder.clone import Record
    from cachexport.images.builder.names import Path
    from cachexport.images.builder.overlay import Overlay

_REDIRECT = "trusted.overlay.redirect"


def copy_changes(
    lower: pathlib.Path, upper: pathlib.Path, record: Record, policy: Policy
) -> list[Change]:
    """Give what makes `upper` of `lower`, whose copy it was when `record` was taken.

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
    old = _looked_at(lower, [path for path in touched if path in record])
    gone = removed(_modes(record), _modes(stamps))
    two = Comparison(lower, upper, nodes(lower, old, old_links), nodes(upper, touched, links), gone)
    return compared(two, policy)


def overlay_changes(lower: pathlib.Path, overlay: Overlay, policy: Policy) -> list[Change]:
    """Give what makes an overlay of `lower`, which it is over. Raises as `changes` does."""
    walk = _OverlayWalk(lower, overlay)
    walk.run()
    if walk.is_redirected or os.listdir(overlay.index):
        return compared(_whole(lower, overlay, walk.found), policy)
    found = dict(sorted(walk.found.items()))
    links = linked({path: Stamp.of(status) for path, status in found.items()})
    old = _looked_at(lower, [path for path in found if path[:-1] in walk.old_folders])
    two = Comparison(
        lower, overlay.root, nodes(lower, old, {}), nodes(overlay.root, found, links), walk.gone
    )
    return compared(two, policy)


def relinked(overlay: Overlay) -> None:
    """Make all hard links of what an overlay has of its own its own too. Raises OSError.

    When it is below others, only its own directory tells that they are links to each other.
    """
    if not os.listdir(overlay.index):
        return
    links = linked({path: Stamp.of(status) for path, status in walk(overlay.root).items()})
    for path, group in links.items():
        if any(overlay.own_has(each) for each in group) and not overlay.own_has(path):
            place = overlay.root.joinpath(*path)
            status = os.lstat(place)
            # Whatever is done to it copies it up; this does nothing else.
            times = (status.st_atime_ns, status.st_mtime_ns)
            os.utime(place, ns=times, follow_symlinks=False)


def _whole(
    lower: pathlib.Path, overlay: Overlay, found: Mapping[Path, os.stat_result]
) -> Comparison:
    """Compare all but the content: a hard link may have changed with what it is linked to."""
    old, new = scan(lower), scan(overlay.root)

    def is_touched(path: Path) -> bool:
        return any(each in found for each in (path, *new[path].links))

    kinds = [{path: node.kind for path, node in tree.items()} for tree in (old, new)]
    return Comparison(lower, overlay.root, old, new, removed(*kinds), is_touched)


class _OverlayWalk:
    """Finds what an overlay has of its own, and what it has no more."""

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
        """Look at a directory; one that was moved here is new as a whole."""
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
        """Give what was in a directory before, nothing when it was none."""
        if above and above[:-1] not in self.old_folders:
            return []
        status = _status(self._lower.joinpath(*above))
        if status is None or not stat.S_ISDIR(status.st_mode):
            return []
        self.old_folders.add(above)
        return os.listdir(self._lower.joinpath(*above))


def _looked_at(place: pathlib.Path, paths: list[Path]) -> dict[Path, os.stat_result]:
    found = ((path, _status(place.joinpath(*path))) for path in paths)
    return {path: status for path, status in found if status is not None}


def _status(place: pathlib.Path) -> os.stat_result | None:
    try:
        return os.lstat(place)
    except FileNotFoundError:
        return None


def _modes(stamps: Mapping[Path, Stamp]) -> dict[Path, int]:
    return {path: stamp.mode for path, stamp in stamps.items()}
