"""An ObjectClient over a table. Each call has a connection of its own, so threads may share it."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from cachexport.errors import BackendError, NotFound, Outdated
from cachexport.plugin import ABSENT, BLOCK, Page, Stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cachexport.plugin import Reader

PAGE = 1000
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS objects (
        key TEXT PRIMARY KEY, version TEXT NOT NULL, modified REAL NOT NULL,
        metadata TEXT NOT NULL, body BLOB NOT NULL
    )
"""
_DESCRIBED = "SELECT key, length(body), version, modified, metadata FROM objects "
_PUT = "INSERT OR REPLACE INTO objects (key, version, modified, metadata, body) VALUES "
_TIMEOUT = 60.0
"""Seconds to wait for others who write."""


class SqliteObjects:
    """See ObjectClient. An object has a gigabyte at most: SQLite's own limit."""

    parallelism = 2

    def __init__(self, file: str, page_size: int = PAGE) -> None:
        self._file = Path(file)
        self._page_size = page_size
        self.place = f"sqlite:{file}"

    def head(self, key: str, /) -> Stored:
        """See ObjectClient."""
        with self._opened("head", key) as db:
            return self._described(db, key)

    def list_page(self, prefix: str, /, *, after: str = "", following: str = "") -> Page:
        """See ObjectClient."""
        if not self._file.exists():
            return Page(())
        where = "WHERE substr(key, 1, ?) = ? AND key > ? ORDER BY key LIMIT ?"
        asked = (len(prefix), prefix, following or after, self._page_size + 1)
        with self._opened("list", prefix) as db:
            found = [_stored(row) for row in db.execute(_DESCRIBED + where, asked)]
        objects = tuple(found[: self._page_size])
        return Page(objects, objects[-1].key if len(found) > self._page_size else "")

    def read(self, key: str, /, *, start: int = 0) -> Reader:
        """See ObjectClient."""
        self.head(key)
        return _Body(self, key, start)

    def load(self, key: str, /) -> tuple[bytes, Stored]:
        """See ObjectClient."""
        with self._opened("read", key) as db:
            stored = self._described(db, key)
            [raw] = db.execute("SELECT body FROM objects WHERE key = ?", (key,)).fetchone()
            return raw, stored

    def piece(self, key: str, start: int, size: int) -> bytes:
        """Give some bytes of an object."""
        with self._opened("read", key) as db:
            asked = "SELECT substr(body, ?, ?) FROM objects WHERE key = ?"
            found = db.execute(asked, (start + 1, size, key)).fetchone()
        if found is None:
            raise NotFound(f"{self.place}/{key} is not there")
        return bytes(found[0] or b"")

    def write(self, key: str, reader: Reader, size: int, /) -> None:
        """See ObjectClient. The body goes into the file block by block, in one transaction."""
        with self._opened("write", key, makes=True) as db:
            row = (key, uuid4().hex, time.time(), "{}", size)
            db.execute(f"{_PUT}(?, ?, ?, ?, zeroblob(?))", row)
            [rowid] = db.execute("SELECT rowid FROM objects WHERE key = ?", (key,)).fetchone()
            with db.blobopen("objects", "body", rowid) as body:
                while block := reader.read(BLOCK):
                    body.write(block)

    def replace(
        self, key: str, raw: bytes, metadata: Mapping[str, str], /, *, version: str | None
    ) -> str:
        """See ObjectClient."""
        made = uuid4().hex
        with self._opened("write", key, makes=True) as db:
            self._expect(db, key, version)
            row = (key, made, time.time(), json.dumps(dict(metadata)), raw)
            db.execute(f"{_PUT}(?, ?, ?, ?, ?)", row)
        return made

    def touch(self, stored: Stored, /) -> str:
        """See ObjectClient."""
        with self._opened("touch", stored.key, makes=True) as db:
            asked = "UPDATE objects SET modified = ? WHERE key = ?"
            if not db.execute(asked, (time.time(), stored.key)).rowcount:
                raise NotFound(f"{self.place}/{stored.key} is not there")
            return self._described(db, stored.key).version

    def delete(self, key: str, /, *, version: str | None = None) -> None:
        """See ObjectClient."""
        with self._opened("delete", key, makes=True) as db:
            found = db.execute("SELECT 1 FROM objects WHERE key = ?", (key,)).fetchone()
            if found is not None:
                self._expect(db, key, version)
            db.execute("DELETE FROM objects WHERE key = ?", (key,))

    def delete_all(self, keys: Sequence[str], /) -> None:
        """See ObjectClient."""
        with self._opened("delete", "", makes=True) as db:
            db.executemany("DELETE FROM objects WHERE key = ?", [(key,) for key in keys])

    def now(self) -> float:
        """See ObjectClient."""
        return time.time()

    def close(self) -> None:
        """See ObjectClient."""

    @contextmanager
    def _opened(self, op: str, key: str, *, makes: bool = False) -> Iterator[sqlite3.Connection]:
        """Open the file for a transaction. Whatever goes wrong in SQLite comes out as ours."""
        if not makes and not self._file.exists():
            raise NotFound(f"{self.place}/{key} is not there")
        try:
            if not self._file.exists():
                self._make()
            with closing(sqlite3.connect(self._file, _TIMEOUT, isolation_level=None)) as db:
                db.execute("BEGIN IMMEDIATE" if makes else "BEGIN")
                with db:
                    yield db
        except sqlite3.Error as error:
            busy = "locked" in str(error)
            message = f"{self.place}/{key}: cannot {op}: {error}"
            raise BackendError(message, op=op, temporary=busy) from error

    def _make(self) -> None:
        """Make the file, all of it or nothing: many may come first at once."""
        begun = self._file.with_name(f"{self._file.name}.{uuid4().hex}")
        with closing(sqlite3.connect(begun)) as db:
            db.execute("PRAGMA journal_mode = WAL")  # who reads and who writes do not wait
            db.execute(_SCHEMA)
        with suppress(FileExistsError):
            os.link(begun, self._file)
        begun.unlink()

    def _described(self, db: sqlite3.Connection, key: str) -> Stored:
        row = db.execute(f"{_DESCRIBED}WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise NotFound(f"{self.place}/{key} is not there")
        return _stored(row)

    def _expect(self, db: sqlite3.Connection, key: str, version: str | None) -> None:
        found = db.execute("SELECT version FROM objects WHERE key = ?", (key,)).fetchone()
        if version is not None and version != (found[0] if found else ABSENT):
            raise Outdated(f"{self.place}/{key}: somebody else wrote it meanwhile")


class _Body:
    """Reads piece by piece, so that no reader keeps the file from those who write."""

    def __init__(self, client: SqliteObjects, key: str, start: int) -> None:
        self._client, self._key, self._at = client, key, start

    def read(self, size: int, /) -> bytes:
        block = self._client.piece(self._key, self._at, size)
        self._at += len(block)
        return block

    def close(self) -> None:
        """Hold nothing."""


def _stored(row: tuple[Any, ...]) -> Stored:
    key, size, version, modified, metadata = row
    return Stored(
        key=key, size=size, version=version, modified=modified, metadata=json.loads(metadata)
    )
