"""Writing content that can be gone on with later, even after a kill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from cachexport.errors import FailedPrecondition, Integrity
from cachexport.images.store.ingestion import Ingestion
from cachexport.images.store.labels import READABLE, check_text
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from cachexport.content.protocols import Info
    from cachexport.images.store.ingestion import Context
    from cachexport.oci.descriptor import Descriptor

TIMEOUT = 1.0
"""Seconds that a ref is waited for: more than a collection needs to look at its file."""
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
    """Writes the content of one `ref`; no other writer of any process has that meanwhile.

    With `desc` it is known what shall come out: another digest is refused, and what was written
    for another one before is dropped. The caller closes, which keeps what was written.
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
        """The bytes that are written: where to go on."""
        return self._offset

    def status(self) -> Status:
        """Give how far it is. Raises FailedPrecondition after `commit` and `close`."""
        self._check_open()
        with self._context.database.reading() as index:
            row = index.execute(_STATUS_OF, (self.ref,)).fetchone()
        return status(row, self._offset)

    def write(self, block: bytes, /) -> None:
        """Add `block` at the end. When it fails nothing of it is there: it may be tried again."""
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
        """Make what was written content, and close. Doing so with what is there is fine.

        Raises Integrity when it has not this size and digest, or not those that the writer was
        opened for: the ingestion is dropped then, since going on with it would not help. A
        manifest, as its descriptor says, gets labels for what it refers to.
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
    """Make a status of a row of the index."""
    ref, total, expected, started, updated = row
    return Status(
        ref=ref,
        offset=offset,
        total=total,
        expected=None if expected is None else Digest.parse(expected),
        started=started,
        updated=updated,
    )
