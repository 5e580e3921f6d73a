"""Leases: they hold content for a while, with or without a name."""

from __future__ import annotations

import secrets
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.errors import AlreadyExists, NotFound
from cachexport.images.store.index import (
    check_labels,
    check_lease,
    check_text,
    get_labels,
    has_labels,
    hold,
    is_there,
    put_labels,
)
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping

    from cachexport.images.store.database import Database

    Row = tuple[str, float, float | None]

DAY = 24 * 3600.0
"""Seconds after which a lease ends whose process was killed. Work that takes longer has to renew
it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease as it was when it was read. Times are seconds since 1970."""

    id: str
    labels: Mapping[str, str]
    created: float
    expires: float | None = None
    """When it stops holding; None: when it is deleted."""


class Leases:
    """The leases of a store. They outlive the process that takes them."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def create(
        self,
        lease_id: str = "",
        *,
        labels: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> Lease:
        """Take a lease for so many seconds; None: until it is deleted. Without an id it gets one.

        Raises AlreadyExists when the id is taken, even by an expired lease: the new one must not
        get its resources.
        """
        labels = dict(labels or {})
        check_labels(labels)
        check_text(lease_id or "none", "a lease")
        name, now = lease_id or secrets.token_hex(8), self._clock()
        with self._database.writing() as index:
            if _row(index, name) is not None:
                raise AlreadyExists(f"there is a lease {name!r}; delete it or take another id")
            expires = _expiry(now, seconds)
            index.execute("INSERT INTO leases VALUES (?, ?, ?)", (name, now, expires))
            put_labels(index, "lease", name, labels)
        return Lease(id=name, labels=labels, created=now, expires=expires)

    @contextmanager
    def held(
        self, *, labels: Mapping[str, str] | None = None, seconds: float | None = None
    ) -> Iterator[Lease]:
        """Have a lease in the block; it is deleted afterwards.

        With `seconds` it ends even when the process is killed in the block.
        """
        lease = self.create(labels=labels, seconds=seconds)
        try:
            yield lease
        finally:
            with suppress(NotFound):
                self.delete(lease.id)

    def get(self, lease_id: str, /) -> Lease:
        """Give a lease, an expired one too unless it was collected. Raises NotFound."""
        with self._database.reading() as index:
            return _lease(index, _found(index, lease_id))

    def list(self, labels: Mapping[str, str | None] | None = None) -> list[Lease]:
        """Give the leases that have these labels (None: with any value), sorted by id."""
        with self._database.reading() as index:
            rows = index.execute("SELECT id, created, expires FROM leases ORDER BY id").fetchall()
            leases = [_lease(index, row) for row in rows]
        return [lease for lease in leases if has_labels(lease.labels, labels or {})]

    def renew(self, lease_id: str, /, *, seconds: float | None) -> Lease:
        """Let a lease end so many seconds from now. Raises NotFound, FailedPrecondition.

        One that has expired stays so: what it held may be gone.
        """
        now = self._clock()
        with self._database.writing() as index:
            _found(index, lease_id)
            check_lease(index, lease_id, now)
            expires = _expiry(now, seconds)
            index.execute("UPDATE leases SET expires = ? WHERE id = ?", (expires, lease_id))
            return _lease(index, _found(index, lease_id))

    def delete(self, lease_id: str, /) -> None:
        """Give a lease up; what only it held is garbage now. Raises NotFound."""
        with self._database.writing() as index:
            _found(index, lease_id)
            index.execute("DELETE FROM leases WHERE id = ?", (lease_id,))

    def add(self, lease_id: str, digest: Digest, /) -> None:
        """Hold content that is there, and what it refers to.

        Raises NotFound for content that is not there, FailedPrecondition for a lease that is gone
        or has expired.
        """
        with self._database.writing() as index:
            if not is_there(index, digest):
                raise NotFound(f"blob {digest} is not there")
            hold(index, lease_id, digest, self._clock())

    def remove(self, lease_id: str, digest: Digest, /) -> None:
        """Stop holding some content; content that was not held is fine."""
        with self._database.writing() as index:
            statement = "DELETE FROM resources WHERE lease = ? AND digest = ?"
            index.execute(statement, (lease_id, digest))

    def resources(self, lease_id: str, /) -> set[Digest]:
        """Give what a lease holds itself. Raises NotFound."""
        with self._database.reading() as index:
            _found(index, lease_id)
            rows = index.execute("SELECT digest FROM resources WHERE lease = ?", (lease_id,))
            return {Digest.parse(text) for (text,) in rows}


def _row(index: sqlite3.Connection, lease_id: str) -> Row | None:
    statement = "SELECT id, created, expires FROM leases WHERE id = ?"
    row: Row | None = index.execute(statement, (lease_id,)).fetchone()
    return row


def _found(index: sqlite3.Connection, lease_id: str) -> Row:
    row = _row(index, lease_id)
    if row is None:
        raise NotFound(f"there is no lease {lease_id!r}")
    return row


def _lease(index: sqlite3.Connection, row: Row) -> Lease:
    lease_id, created, expires = row
    labels = get_labels(index, "lease", lease_id)
    return Lease(id=lease_id, labels=labels, created=created, expires=expires)


def _expiry(now: float, seconds: float | None) -> float | None:
    return None if seconds is None else now + seconds
