"""The index of a store: one SQLite file, which any number of processes use at once.

The index decides what is there: a file without a row does not count. So a row is added after its
file is whole and on the disk, and a file is removed after its row. Whoever renames or removes the
file of a blob does so inside `writing`, which one process at a time can enter.
"""

from __future__ import annotations

import itertools
import sqlite3
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.files import lock
from cachexport.content.files.errors import translated
from cachexport.errors import BackendError, CachexportError, Conflict, FailedPrecondition, Integrity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cachexport.images.store.paths import Paths


_FIRST = (
    """CREATE TABLE content (
        digest TEXT PRIMARY KEY, size INTEGER NOT NULL, created REAL NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE images (
        name TEXT PRIMARY KEY, digest TEXT NOT NULL, target TEXT NOT NULL,
        created REAL NOT NULL, updated REAL NOT NULL, version TEXT NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE leases (
        id TEXT PRIMARY KEY, created REAL NOT NULL, expires REAL
    ) WITHOUT ROWID""",
    """CREATE TABLE resources (
        lease TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (lease, digest)
    ) WITHOUT ROWID""",
    """CREATE TABLE labels (
        kind TEXT NOT NULL, owner TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (kind, owner, key)
    ) WITHOUT ROWID""",
    # What content refers to; see labels.REFERENCE.
    """CREATE VIEW refers (source, target) AS SELECT owner, value FROM labels
        WHERE kind = 'content' AND key GLOB 'containerd.io/gc.ref.content*'
    """,
    """CREATE TABLE ingests (
        ref TEXT PRIMARY KEY, file TEXT NOT NULL UNIQUE, expected TEXT, total INTEGER,
        started REAL NOT NULL, updated REAL NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TRIGGER content_gone AFTER DELETE ON content BEGIN
        DELETE FROM labels WHERE kind = 'content' AND owner = OLD.digest;
    END""",
    """CREATE TRIGGER image_gone AFTER DELETE ON images BEGIN
        DELETE FROM labels WHERE kind = 'image' AND owner = OLD.name;
    END""",
    """CREATE TRIGGER lease_gone AFTER DELETE ON leases BEGIN
        DELETE FROM labels WHERE kind = 'lease' AND owner = OLD.id;
        DELETE FROM resources WHERE lease = OLD.id;
    END""",
)
_DIRECTORIES = (
    # A row without a chain is a directory that a process has to itself.
    """CREATE TABLE directories (
        number INTEGER PRIMARY KEY AUTOINCREMENT, parent INTEGER, chain TEXT, whole INTEGER,
        UNIQUE (chain, whole)
    )""",
    """CREATE TABLE origins (
        number INTEGER NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (number, digest)
    ) WITHOUT ROWID""",
    """CREATE TABLE uses (
        lease TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (lease, number)
    ) WITHOUT ROWID""",
    """CREATE TRIGGER directory_gone AFTER DELETE ON directories BEGIN
        DELETE FROM origins WHERE number = OLD.number;
        DELETE FROM uses WHERE number = OLD.number;
    END""",
    """CREATE TRIGGER user_gone AFTER DELETE ON leases BEGIN
        DELETE FROM uses WHERE lease = OLD.id;
    END""",
)
_STEPS = (_FIRST, _DIRECTORIES)
"""The statements that lead from each version of the schema to the next."""


class Database:
    """The index at `paths.index`, made if need be.

    Threads may share it. Waits `timeout` seconds for other writers, then raises Conflict.
    """

    def __init__(self, paths: Paths, timeout: float) -> None:
        self._path = paths.index
        self._guard = threading.RLock()
        # SQLite does not wait for locks when it switches to WAL: one process at a time.
        with translated("lock", paths.directory), lock.held(paths.opening_lock, timeout=timeout):
            self._connection: sqlite3.Connection | None = self._connect(timeout)
            try:
                self._prepare()
            except BaseException:
                self.close()
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """See one state of the index in the whole block, whatever others write meanwhile."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Change the index, one process at a time; the change is on the disk after the block.

        An error in the block undoes what was done to the index.
        """
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    def close(self) -> None:
        """Close the file; twice is fine."""
        with self._guard, translated_sqlite(self._path):
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._guard, translated_sqlite(self._path):
            if self._connection is None:
                raise FailedPrecondition(f"the store in {self._path.parent} is closed")
            connection = self._connection
            try:
                connection.execute(begin)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # If this fails too, SQLite rolls back when the file is next closed or opened.
                with suppress(sqlite3.Error):
                    connection.rollback()
                raise

    def _connect(self, timeout: float) -> sqlite3.Connection:
        with translated_sqlite(self._path):
            return sqlite3.connect(
                self._path, timeout=timeout, isolation_level=None, check_same_thread=False
            )

    def _prepare(self) -> None:
        with translated_sqlite(self._path):
            assert self._connection is not None
            self._connection.execute("PRAGMA journal_mode = WAL")
            # Otherwise a power failure could lose a name that was reported as stored.
            self._connection.execute("PRAGMA synchronous = FULL")
        with self.writing() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > len(_STEPS):
                raise FailedPrecondition(f"{self._path} was made by a newer cachexport; update it")
            for statement in itertools.chain(*_STEPS[version:]):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(_STEPS)}")


@dataclass(frozen=True, slots=True)
class SqliteMeaning:
    """The error that a result code becomes, what it says, and whether trying again may help."""

    text: str
    kind: type[CachexportError] = BackendError
    temporary: bool = False


_BUSY = "other processes write to it all the time; try again"
_DAMAGED = "it is damaged; remove the store's directory and fill it anew"

MEANINGS: dict[int, SqliteMeaning] = {
    sqlite3.SQLITE_BUSY: SqliteMeaning(_BUSY, Conflict),
    sqlite3.SQLITE_LOCKED: SqliteMeaning(_BUSY, Conflict),
    sqlite3.SQLITE_PROTOCOL: SqliteMeaning(_BUSY, Conflict),
    sqlite3.SQLITE_FULL: SqliteMeaning("disk full"),
    sqlite3.SQLITE_TOOBIG: SqliteMeaning("a value is too large for it"),
    sqlite3.SQLITE_NOMEM: SqliteMeaning("out of memory", temporary=True),
    sqlite3.SQLITE_IOERR: SqliteMeaning("input/output error; the disk may be full or failing"),
    sqlite3.SQLITE_PERM: SqliteMeaning("permission denied"),
    sqlite3.SQLITE_AUTH: SqliteMeaning("permission denied"),
    sqlite3.SQLITE_READONLY: SqliteMeaning("it is read-only"),
    sqlite3.SQLITE_CANTOPEN: SqliteMeaning("it cannot be opened"),
    sqlite3.SQLITE_NOLFS: SqliteMeaning("the file system cannot do this"),
    sqlite3.SQLITE_CORRUPT: SqliteMeaning(_DAMAGED, Integrity),
    sqlite3.SQLITE_NOTADB: SqliteMeaning("it is no database of SQLite", FailedPrecondition),
    sqlite3.SQLITE_SCHEMA: SqliteMeaning("another program changed its tables", FailedPrecondition),
}
"""Every result code that has a meaning; any other is a BackendError in SQLite's words."""

_PRIMARY = 0xFF
"""An extended result code has its primary one in the lowest byte."""


def from_sqlite(error: sqlite3.Error, path: Path | str) -> CachexportError:
    """Make our error of `error`, which using the database at `path` met."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY
    meaning = MEANINGS.get(code) or SqliteMeaning(str(error))
    message = f"cannot use {path}: {meaning.text}"
    if meaning.kind is BackendError:
        return BackendError(message, op="index", temporary=meaning.temporary)
    return meaning.kind(message)


@contextmanager
def translated_sqlite(path: Path | str) -> Iterator[None]:
    """Let no error of SQLite out of the block: it is raised as ours, the original its cause."""
    try:
        yield
    except sqlite3.Error as error:
        raise from_sqlite(error, path) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What all parts of a store share; `lease` holds what is put in, none when empty."""

    paths: Paths
    database: Database
    clock: Callable[[], float]
    lease: str = ""
