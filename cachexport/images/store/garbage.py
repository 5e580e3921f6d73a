"""Garbage collection: mark what names and leases hold, sweep the rest.

One transaction marks, and deletes the rows of the rest: from then on that content is not there.
Then the files are removed, each checked again while nobody can commit. So a kill at any point
leaves no row without a file, and the next collection removes files without a row.
"""

from __future__ import annotations

import dataclasses
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.files.errors import translated
from cachexport.errors import Unavailable
from cachexport.images.store.directories import forget_directories, remove_directories
from cachexport.images.store.index import find_garbage, is_there
from cachexport.images.store.ingestion import Ingestion

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection
    from pathlib import Path

    from cachexport.content.protocols import Info
    from cachexport.images.store.database import Context

_AT_ONCE = 64
"""Files that one transaction removes, while other writers wait."""
_INGEST = "SELECT ref, updated FROM ingests WHERE file = ?"
_IMAGE = "SELECT 1 FROM images WHERE name = ?"
_EXPIRED = "SELECT id FROM leases WHERE expires <= ? ORDER BY id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a collection removed."""

    content: tuple[Info, ...]
    leases: tuple[str, ...]
    """Ids of those that had expired."""
    ingests: tuple[str, ...]
    """Refs of ingestions that were not resumed."""
    images: tuple[str, ...] = ()
    """Names that the caller let go."""
    snapshots: int = 0
    """Directories: of unpacked layers, and of processes that ended."""

    @property
    def size(self) -> int:
        """The bytes of the content."""
        return sum(info.size for info in self.content)


def collect(context: Context, stale_after: float, images: Collection[str] = ()) -> Collected:
    """Remove what nothing holds, expired leases, and abandoned ingestions and directories.

    An ingestion is abandoned when it has no writer and had none for `stale_after` seconds. The
    names in `images` go first, in the same transaction. Any number of processes may collect at
    once, while others do anything else.
    """
    with context.database.writing() as index:
        collected = _forget(index, context, images)
    _remove_files(context)
    ingests = _remove_ingests(context, context.clock() - stale_after)
    snapshots = _remove_snapshots(context)
    return dataclasses.replace(collected, ingests=ingests, snapshots=snapshots)


def preview(context: Context, images: Collection[str] = ()) -> Collected:
    """Give what `collect` would remove now, and remove nothing.

    It does not look at ingestions and directories.
    """
    with suppress(_Undone), context.database.writing() as index:
        collected = _forget(index, context, images)
        raise _Undone
    return collected


class _Undone(Exception):
    """Undoes what was done to the index."""


def _forget(index: sqlite3.Connection, context: Context, images: Collection[str]) -> Collected:
    now = context.clock()
    there = tuple(name for name in sorted(set(images)) if index.execute(_IMAGE, (name,)).fetchone())
    index.executemany("DELETE FROM images WHERE name = ?", [(name,) for name in there])
    leases = tuple(lease for (lease,) in index.execute(_EXPIRED, (now,)))
    index.executemany("DELETE FROM leases WHERE id = ?", [(lease,) for lease in leases])
    found = tuple(find_garbage(index, now))
    index.executemany("DELETE FROM content WHERE digest = ?", [(info.digest,) for info in found])
    forget_directories(index, context)
    return Collected(content=found, leases=leases, ingests=(), images=there)


def _remove_files(context: Context) -> None:
    found = list(context.paths.digests())
    with context.database.reading() as index:
        doomed = [digest for digest in found if not is_there(index, digest)]
    for start in range(0, len(doomed), _AT_ONCE):
        with context.database.writing() as index:
            for digest in doomed[start : start + _AT_ONCE]:
                if not is_there(index, digest):
                    path = context.paths.blob(digest)
                    with translated("write", path):
                        path.unlink(missing_ok=True)


def _remove_ingests(context: Context, before: float) -> tuple[str, ...]:
    """Remove the ingestions without a writer since `before`, and files without a row."""
    with context.database.reading() as index:
        names = {name for (name,) in index.execute("SELECT file FROM ingests")}
    paths = {*context.paths.ingest_files(), *(context.paths.ingests / name for name in names)}
    removed = [_remove_ingest(context, path, before) for path in sorted(paths)]
    return tuple(sorted(ref for ref in removed if ref is not None))


def _remove_ingest(context: Context, path: Path, before: float) -> str | None:
    """Remove one, unless it has a writer; give its ref if it has one."""
    # The transaction comes first, so that the file is locked briefly: its writer waits.
    with suppress(Unavailable), context.database.writing() as index:
        row = index.execute(_INGEST, (path.name,)).fetchone()
        if row is None or row[1] <= before:
            with closing(Ingestion(context, path, path.name, timeout=0)) as file:
                index.execute("DELETE FROM ingests WHERE file = ?", (path.name,))
                file.remove()
            return None if row is None else str(row[0])
    return None


def _remove_snapshots(context: Context) -> int:
    found = list(remove_directories(context))
    errors = [each for each in found if isinstance(each, Exception)]
    if len(errors) > 1:
        raise ExceptionGroup("some directories of unpacked layers stay", errors)
    for error in errors:
        raise error
    return len(found)
