"""Directories that a store keeps: with unpacked layers, or a process's own.

The index says what they are, as it does of content. A process's own directory has a lock, which a
kill releases; from then on it is garbage, with all that is mounted in it. A directory with unpacked
layers is held by leases, by directories made on it, and by the blobs that it was unpacked from:
while those are in the store, nothing is unpacked twice.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.files import lock
from cachexport.content.files.errors import translated
from cachexport.content.files.mounts import unmount_below
from cachexport.content.files.removal import remove_tree
from cachexport.errors import Conflict
from cachexport.images.store.index import check_lease
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from cachexport.content.files.lock import FileLock
    from cachexport.images.store.database import Context

_LOCK = "lock"
_COLUMNS = "SELECT number, parent, chain, whole FROM directories "
_FIND = _COLUMNS + "WHERE chain = ? AND whole = ?"
_BY_NUMBER = _COLUMNS + "WHERE number = ?"
_FORGET = """
WITH RECURSIVE held (number) AS (
    SELECT number FROM directories WHERE chain IS NULL
    UNION SELECT number FROM uses
    UNION SELECT number FROM directories WHERE chain IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM origins WHERE origins.number = directories.number
            AND digest NOT IN (SELECT digest FROM content)
    )
    UNION SELECT parent FROM held JOIN directories USING (number) WHERE parent IS NOT NULL
)
DELETE FROM directories WHERE number NOT IN held
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """A directory with unpacked layers, which is not to be changed."""

    number: int
    path: Path
    chain: Digest
    whole: bool
    """Whether it has all layers of the chain; else it has the top one, and `parent` the others."""
    parent: int | None = None


@dataclass(slots=True)
class OwnDirectory:
    """A directory that one process has to itself, until it publishes or removes it."""

    number: int
    path: Path
    parent: int | None
    _context: Context
    _lock: FileLock

    def publish(self, chain: Digest, origins: Iterable[Digest], lease: str) -> Unpacked:
        """Make it the directory of `chain`, unpacked from the blobs `origins`; `lease` holds it.

        With a parent it has only the top layer. If the chain was published already, this directory
        is removed and the published one given. Raises FailedPrecondition for a lease that is gone
        or has expired.
        """
        whole = self.parent is None
        with self._context.database.writing() as index:
            check_lease(index, lease, self._context.clock())
            found = _find(index, self._context, chain, whole=whole)
            if found is None:
                statement = "UPDATE directories SET chain = ?, whole = ? WHERE number = ?"
                index.execute(statement, (chain, whole, self.number))
                rows = [(self.number, digest) for digest in set(origins)]
                index.executemany("INSERT INTO origins VALUES (?, ?)", rows)
            made = found or Unpacked(
                number=self.number, path=self.path, chain=chain, whole=whole, parent=self.parent
            )
            _hold(index, lease, made.number)
        if found is None:
            self._lock.close()
        else:
            self.remove()
        return made

    def remove(self) -> None:
        """Unmount what is mounted in it, and remove it. Raises BackendError; then it is garbage."""
        try:
            _empty(self.path)
            with self._context.database.writing() as index:
                index.execute("DELETE FROM directories WHERE number = ?", (self.number,))
                _remove(self.path)
        finally:
            self._lock.close()


class Directories:
    """The directories of a store."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def place(self) -> Path:
        """The folder that they are in."""
        return self._context.paths.snapshots

    def make(self, lease: str, *, parent: int | None = None) -> OwnDirectory:
        """Make an empty directory on `parent`, which it holds from now on.

        Until now `lease` holds the parent: raises FailedPrecondition when the lease is gone or has
        expired.
        """
        context = self._context
        with context.database.writing() as index, translated("write", self.place):
            check_lease(index, lease, context.clock())
            os.makedirs(self.place, 0o700, exist_ok=True)
            number, path = self._make(index, parent)
            taken = lock.acquire(path / _LOCK, timeout=0)
        return OwnDirectory(number, path, parent, context, taken)

    def find(self, chain: Digest, lease: str, *, whole: bool) -> Unpacked | None:
        """Give the directory of a chain, held by `lease` from now on; None when there is none.

        Raises FailedPrecondition for a lease that is gone or has expired.
        """
        with self._context.database.writing() as index:
            check_lease(index, lease, self._context.clock())
            found = _find(index, self._context, chain, whole=whole)
            if found is not None:
                _hold(index, lease, found.number)
        return found

    def stack(self, top: Unpacked) -> list[Unpacked]:
        """Give the directories of a chain that is held: the top one first, a whole one last."""
        stack = [top]
        with self._context.database.reading() as index:
            while (parent := stack[-1].parent) is not None:
                row = index.execute(_BY_NUMBER, (parent,)).fetchone()
                stack.append(_unpacked(self._context, row))
        return stack

    def _make(self, index: sqlite3.Connection, parent: int | None) -> tuple[int, Path]:
        while True:
            statement = "INSERT INTO directories (parent) VALUES (?)"
            number = index.execute(statement, (parent,)).lastrowid
            path = self._context.paths.snapshot(number or 0)
            try:
                path.mkdir()
            except FileExistsError:
                # A process was killed right here, before it committed the row.
                index.execute("DELETE FROM directories WHERE number = ?", (number,))
            else:
                _without_defaults(path)
                return number or 0, path


def _without_defaults(path: Path) -> None:
    """Let nothing that is made in a directory inherit default access lists."""
    with suppress(OSError):
        os.removexattr(path, "system.posix_acl_default")


def forget_directories(index: sqlite3.Connection, context: Context) -> None:
    """Delete the rows of directories that nothing holds, after those of leases and content."""
    rows = index.execute("SELECT number FROM directories WHERE chain IS NULL").fetchall()
    for (number,) in rows:
        if _is_left(context.paths.snapshot(number)):
            index.execute("DELETE FROM directories WHERE number = ?", (number,))
    index.execute(_FORGET)


def remove_directories(context: Context) -> Iterator[int | Exception]:
    """Remove the directories without a row; give their numbers, or the errors."""
    for number in context.paths.snapshot_numbers():
        try:
            if _collect(context, number):
                yield number
        except Exception as error:
            yield error


def _collect(context: Context, number: int) -> bool:
    path = context.paths.snapshot(number)
    with context.database.writing() as index:
        known = index.execute("SELECT 1 FROM directories WHERE number = ?", (number,)).fetchone()
        taken = None if known else _taken(path)
    if taken is None:
        return False
    try:
        _empty(path)
        with context.database.writing():
            _remove(path)
    finally:
        taken.close()
    return True


def _taken(path: Path) -> FileLock | None:
    """Lock a directory, unless another process has it, or it is gone."""
    with translated("lock", path), suppress(Conflict, FileNotFoundError):
        return lock.acquire(path / _LOCK, timeout=0)
    return None


def _is_left(path: Path) -> bool:
    """Say whether no process has a directory any more."""
    if not path.is_dir():
        return True
    taken = _taken(path)
    if taken is not None:
        taken.close()
    return taken is not None


def _empty(path: Path) -> None:
    """Remove all in a directory but its lock."""
    with translated("write", path):
        unmount_below(path)
        for name in os.listdir(path):
            if name != _LOCK:
                remove_tree(path / name)


def _remove(path: Path) -> None:
    """Remove an empty directory and its lock, inside `writing`, so that nobody takes it."""
    with translated("write", path):
        (path / _LOCK).unlink(missing_ok=True)
        path.rmdir()


def _find(
    index: sqlite3.Connection, context: Context, chain: Digest, *, whole: bool
) -> Unpacked | None:
    row = index.execute(_FIND, (chain, whole)).fetchone()
    found = None if row is None else _unpacked(context, row)
    if found is not None and not found.path.is_dir():
        # Somebody cleaned up by hand.
        index.execute("DELETE FROM directories WHERE number = ?", (found.number,))
        return None
    return found


def _unpacked(context: Context, row: tuple[int, int | None, str, int]) -> Unpacked:
    number, parent, chain, whole = row
    return Unpacked(
        number=number,
        path=context.paths.snapshot(number),
        chain=Digest.parse(chain),
        whole=bool(whole),
        parent=parent,
    )


def _hold(index: sqlite3.Connection, lease: str, number: int) -> None:
    index.execute("INSERT OR IGNORE INTO uses VALUES (?, ?)", (lease, number))
