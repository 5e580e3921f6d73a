"""Ingestions: files that are written, published as content, or resumed, even after a kill."""

from __future__ import annotations

import os
import secrets
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from cachexport.content.files import lock
from cachexport.content.files.errors import translated
from cachexport.content.files.staged import StagedFile, sync_directory
from cachexport.content.protocols import Info
from cachexport.content.verify import BLOCK
from cachexport.contract.reading import METADATA_LIMIT
from cachexport.errors import Conflict, FailedPrecondition, Integrity, Unavailable
from cachexport.images.store.index import (
    READABLE,
    check_labels,
    check_text,
    hold,
    is_there,
    put_labels,
    references,
)
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from cachexport.content.files.lock import FileLock
    from cachexport.images.store.database import Context
    from cachexport.oci.descriptor import Descriptor


_ADD = """
INSERT INTO content VALUES (?, ?, ?) ON CONFLICT (digest) DO UPDATE SET size = excluded.size
"""


class Ingestion:
    """The file of an ingestion, locked by one process at a time; a kill releases the lock.

    `publish` makes it content. The caller closes. Raises Unavailable when another process has it
    for `timeout` seconds: a collection locks every file for an instant.
    """

    def __init__(self, context: Context, path: Path, ref: str, *, timeout: float) -> None:
        self._context = context
        self._lock = _locked(path, ref, timeout)
        self._file = StagedFile(self._lock.fd, path, context.paths.directory)

    @property
    def size(self) -> int:
        """The bytes that are written."""
        with self._translated():
            return os.fstat(self._lock.fd).st_size

    def write(self, block: bytes) -> None:
        """Add all of `block` at the end; when it fails, none of it."""
        before = self.size
        try:
            with self._translated():
                os.lseek(self._lock.fd, before, os.SEEK_SET)
            self._file.write(block)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(self._lock.fd, before)
            raise

    def blocks(self) -> Iterator[bytes]:
        """Give what was written."""
        at = 0
        while block := self._read(at):
            at += len(block)
            yield block

    def clear(self) -> None:
        """Drop what was written."""
        with self._translated():
            os.ftruncate(self._lock.fd, 0)

    def publish(
        self,
        digest: Digest,
        labels: Mapping[str, str],
        *,
        has_references: bool,
        ref: str | None = None,
    ) -> Info:
        """Make it the content of `digest`, with these labels, in place of what is there.

        With `has_references` it is a manifest, and gets the labels for what it refers to. The
        ingestion `ref` is over then. Raises WireFormat for a manifest that is none,
        FailedPrecondition for a lease that is gone or has expired; nothing has changed then.
        """
        check_labels(labels)
        context, size = self._context, self.size
        manifest = self._manifest() if has_references else None
        self._file.seal()
        with context.database.writing() as index:
            made = {} if manifest is None else references(manifest, partial(is_there, index))
            index.execute(_ADD, (digest, size, context.clock()))
            put_labels(index, "content", digest, made | dict(labels))
            if context.lease:
                hold(index, context.lease, digest, context.clock())
            index.execute("DELETE FROM ingests WHERE ref = ?", (ref,))
            self._move(context.paths.blob(digest))
        return Info(digest, size)

    def remove(self) -> None:
        """Remove the file, unless it is content already."""
        if self._lock.is_current():
            with self._translated():
                self._file.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the lock; the file stays."""
        self._lock.close()

    def _move(self, target: Path) -> None:
        """Move the file to where blobs are; the caller's transaction adds its row."""
        with self._translated():
            os.makedirs(target.parent, 0o755, exist_ok=True)
        self._file.commit(target)
        with self._translated():
            # Not before: a read-only file could not be resumed.
            os.fchmod(self._lock.fd, 0o444)
        for folder in (target.parent, target.parent.parent):
            sync_directory(folder)

    def _manifest(self) -> bytes:
        if self.size > METADATA_LIMIT:
            raise Integrity(f"a manifest of {self.size} bytes is too large")
        return b"".join(self.blocks())

    def _read(self, at: int) -> bytes:
        with translated("read", self._file.path):
            return os.pread(self._lock.fd, BLOCK, at)

    def _translated(self) -> AbstractContextManager[None]:
        return translated("write", self._context.paths.directory)


@contextmanager
def anonymous_ingestion(context: Context) -> Iterator[Ingestion]:
    """Have an ingestion that nobody can resume; after the block it is removed, or content.

    After a kill its file is garbage at once.
    """
    name = secrets.token_hex(32)
    path = context.paths.ingests / name
    with closing(Ingestion(context, path, name, timeout=lock.TIMEOUT)) as file:
        try:
            yield file
        finally:
            file.remove()


def _locked(path: Path, ref: str, timeout: float) -> FileLock:
    try:
        with translated("lock", path):
            return lock.acquire(path, timeout=timeout)
    except Conflict as error:
        raise Unavailable(f"ingest {ref!r} is being written by another writer") from error


TIMEOUT = 1.0
"""Seconds to wait for the lock of a ref: longer than a collection has it."""
STATUSES = "SELECT ref, total, expected, started, updated FROM ingests"
_STATUS_OF = STATUSES + " WHERE ref = ?"
_SAVE = """
INSERT INTO ingests VALUES (:ref, :file, :expected, :total, :now, :now)
    ON CONFLICT (ref) DO UPDATE SET updated = :now,
        expected = coalesce(:expected, expected), total = coalesce(:total, total)
"""
_TOUCH = "UPDATE ingests SET updated = ? WHERE ref = ?"
_SHA256 = Digest.of(b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How far an ingestion is. Times are seconds since 1970, sizes bytes."""

    ref: str
    offset: int
    """What is written."""
    total: int | None = None
    """What it will have in the end, if that is known."""
    expected: Digest | None = None
    started: float
    updated: float
    """When it was last opened or closed."""


class Writer:
    """Writes the content of one `ref`; no other writer of any process can have it meanwhile.

    With `desc` the result is known: another digest is refused, and bytes that an earlier writer
    wrote for another digest are dropped. The caller closes, which keeps what was written.
    """

    def __init__(self, context: Context, ref: str, desc: Descriptor | None) -> None:
        check_text(ref, "an ingest")
        self.ref = ref
        self._desc = desc
        self._context = context
        self._file = Ingestion(context, context.paths.ingest(ref), ref, timeout=TIMEOUT)
        self._is_open = True
        try:
            self._resume()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def offset(self) -> int:
        """The bytes that are written: where to resume."""
        return self._offset

    def status(self) -> Status:
        """Give how far it is. Raises FailedPrecondition after `commit` and `close`."""
        self._check_open()
        with self._context.database.reading() as index:
            row = index.execute(_STATUS_OF, (self.ref,)).fetchone()
        return status(row, self._offset)

    def write(self, block: bytes, /) -> None:
        """Append `block`. After an error nothing of it was written: it may be tried again."""
        self._check_open()
        self._file.write(block)
        self._hasher.update(block)
        self._offset += len(block)

    def commit(
        self,
        size: int | None = None,
        digest: Digest | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Info:
        """Make the written bytes content, and close. Content that is there already is fine.

        Raises Integrity when they do not have this size and digest, or those that the writer was
        opened for; the ingestion is dropped then, since resuming it would not help. A manifest, by
        its descriptor, gets labels for what it refers to.
        """
        self._check_open()
        found = self._checked(size, digest)
        has_references = self._desc is not None and self._desc.media_type in READABLE
        info = self._file.publish(found, labels or {}, has_references=has_references, ref=self.ref)
        self._let_go()
        return info

    def abort(self) -> None:
        """Drop what was written, and close. After `commit` and `close` it does nothing."""
        if self._is_open:
            with self._context.database.writing() as index:
                index.execute("DELETE FROM ingests WHERE ref = ?", (self.ref,))
                self._file.remove()
            self._let_go()

    def close(self) -> None:
        """Keep what was written for the next writer of this ref; twice is fine."""
        if self._is_open:
            try:
                with self._context.database.writing() as index:
                    index.execute(_TOUCH, (self._context.clock(), self.ref))
            finally:
                self._let_go()

    def _resume(self) -> None:
        expected = None if self._desc is None else self._desc.digest
        total = None if self._desc is None else self._desc.size
        values = {
            "ref": self.ref,
            "file": self._context.paths.ingest(self.ref).name,
            "expected": expected,
            "total": total,
            "now": self._context.clock(),
        }
        with self._context.database.writing() as index:
            if not self._is_same(index, expected):
                self._file.clear()
            index.execute(_SAVE, values)
        self._hasher = (expected or _SHA256).hasher()
        self._offset = 0
        for block in self._file.blocks():
            self._hasher.update(block)
            self._offset += len(block)

    def _is_same(self, index: sqlite3.Connection, expected: Digest | None) -> bool:
        row = index.execute(_STATUS_OF, (self.ref,)).fetchone()
        fits = self._desc is None or self._file.size <= self._desc.size
        return fits and row is not None and (None in (row[2], expected) or row[2] == expected)

    def _checked(self, size: int | None, digest: Digest | None) -> Digest:
        found = self._digest(digest)
        expected = self._desc
        sizes = {each for each in (size, expected and expected.size) if each is not None}
        digests = {str(each) for each in (digest, expected and expected.digest) if each}
        if sizes - {self._offset} or digests - {found}:
            self.abort()
            wants = ", ".join(sorted(digests) + [f"{number} bytes" for number in sizes])
            raise Integrity(
                f"ingest {self.ref!r} is {found} with {self._offset} bytes, wanted {wants}"
            )
        return found

    def _digest(self, wanted: Digest | None) -> Digest:
        """Give the digest of what was written, by the algorithm of `wanted`."""
        if wanted is None or wanted.algorithm == self._hasher.name:
            return Digest.from_hasher(self._hasher)
        hasher = wanted.hasher()
        for block in self._file.blocks():
            hasher.update(block)
        return Digest.from_hasher(hasher)

    def _check_open(self) -> None:
        if not self._is_open:
            raise FailedPrecondition(f"the writer of ingest {self.ref!r} is closed")

    def _let_go(self) -> None:
        self._is_open = False
        self._file.close()


def status(row: tuple[str, int | None, str | None, float, float], offset: int) -> Status:
    """Read a status from a row of the index."""
    ref, total, expected, started, updated = row
    return Status(
        ref=ref,
        offset=offset,
        total=total,
        expected=None if expected is None else Digest.parse(expected),
        started=started,
        updated=updated,
    )
