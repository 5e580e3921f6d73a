"""What SQLite's errors mean to us: one table, and the border where they stop."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.errors import (
    BackendError,
    CachexportError,
    Conflict,
    FailedPrecondition,
    Integrity,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Meaning:
    """The error that a result code becomes, what it says, and whether trying again may help."""

    text: str
    kind: type[CachexportError] = BackendError
    temporary: bool = False


_BUSY = "other processes write to it all the time; try again"
_DAMAGED = "it is damaged; remove the store's directory and fill it anew"

MEANINGS: dict[int, Meaning] = {
    sqlite3.SQLITE_BUSY: Meaning(_BUSY, Conflict),
    sqlite3.SQLITE_LOCKED: Meaning(_BUSY, Conflict),
    sqlite3.SQLITE_PROTOCOL: Meaning(_BUSY, Conflict),
    sqlite3.SQLITE_FULL: Meaning("disk full"),
    sqlite3.SQLITE_TOOBIG: Meaning("a value is too large for it"),
    sqlite3.SQLITE_NOMEM: Meaning("out of memory", temporary=True),
    sqlite3.SQLITE_IOERR: Meaning("input/output error; the disk may be full or failing"),
    sqlite3.SQLITE_PERM: Meaning("permission denied"),
    sqlite3.SQLITE_AUTH: Meaning("permission denied"),
    sqlite3.SQLITE_READONLY: Meaning("it is read-only"),
    sqlite3.SQLITE_CANTOPEN: Meaning("it cannot be opened"),
    sqlite3.SQLITE_NOLFS: Meaning("the file system cannot do this"),
    sqlite3.SQLITE_CORRUPT: Meaning(_DAMAGED, Integrity),
    sqlite3.SQLITE_NOTADB: Meaning("it is no database of SQLite", FailedPrecondition),
    sqlite3.SQLITE_SCHEMA: Meaning("another program changed its tables", FailedPrecondition),
}
"""Every result code that has a meaning; any other is a BackendError in SQLite's words."""

_PRIMARY = 0xFF
"""An extended result code has its primary one in the lowest byte."""


def from_sqlite(error: sqlite3.Error, path: Path | str) -> CachexportError:
    """Make our error of `error`, which using the database at `path` met."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY
    meaning = MEANINGS.get(code) or Meaning(str(error))
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
