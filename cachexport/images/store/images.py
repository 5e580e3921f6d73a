"""Names of images, and what they stand for."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.errors import AlreadyExists, NotFound, Outdated
from cachexport.images.store.index import (
    check_labels,
    check_text,
    find_missing,
    get_labels,
    has_labels,
    put_labels,
)
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping

    from cachexport.images.store.database import Database

    Row = tuple[str, str, float, float, str]

_COLUMNS = "SELECT name, target, created, updated, version FROM images "
_BY_NAME = _COLUMNS + "WHERE name = ?"
_MATCHING = _COLUMNS + "WHERE name GLOB ? ORDER BY name"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedImage:
    """An image's name as it was when it was read. Times are seconds since 1970."""

    name: str
    target: Descriptor
    labels: Mapping[str, str]
    created: float
    updated: float
    version: str
    """Changes with each update, so that a concurrent update is noticed."""


class Images:
    """The image names of a store. A name holds its target and all that this refers to."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def create(
        self, name: str, target: Descriptor, labels: Mapping[str, str] | None = None
    ) -> NamedImage:
        """Name what is in the store.

        Raises AlreadyExists when the name is taken, NotFound when `target` or something that it
        refers to is not there.
        """
        labels = dict(labels or {})
        check_text(name, "an image")
        check_labels(labels)
        with self._database.writing() as index:
            if _row(index, name) is not None:
                raise AlreadyExists(f"there is an image {name!r}; update it or delete it first")
            return self._insert(index, name, target, labels)

    def put(
        self, name: str, target: Descriptor, labels: Mapping[str, str] | None = None
    ) -> NamedImage:
        """Name what is in the store, whatever the name stood for: `create` or `update`."""
        labels = dict(labels or {})
        check_text(name, "an image")
        check_labels(labels)
        with self._database.writing() as index:
            change = self._insert if _row(index, name) is None else self._update
            return change(index, name, target, labels)

    def update(
        self,
        name: str,
        target: Descriptor,
        labels: Mapping[str, str] | None = None,
        *,
        expected: NamedImage | None = None,
    ) -> NamedImage:
        """Let a name stand for something else, and set these labels; the others stay.

        With `expected` the name must be as it was when that was read: raises Outdated where it is
        not, NotFound when there is no such name, or as `create` does.
        """
        labels = dict(labels or {})
        check_labels(labels)
        with self._database.writing() as index:
            _check_version(index, name, expected)
            return self._update(index, name, target, labels)

    def get(self, name: str, /) -> NamedImage:
        """Give what a name stands for. Raises NotFound."""
        with self._database.reading() as index:
            return _get(index, name)

    def list(
        self, matching: str = "*", labels: Mapping[str, str | None] | None = None
    ) -> list[NamedImage]:
        """Give the names that match a pattern and have these labels (None: with any value).

        In the pattern `*` stands for any text and `?` for one character; sorted by name.
        """
        with self._database.reading() as index:
            rows = index.execute(_MATCHING, (matching,)).fetchall()
            images = [_image(index, row) for row in rows]
        return [image for image in images if has_labels(image.labels, labels or {})]

    def delete(self, name: str, /, *, expected: NamedImage | None = None) -> None:
        """Remove a name; what only it held is garbage now. Raises NotFound, Outdated."""
        with self._database.writing() as index:
            _check_version(index, name, expected)
            index.execute("DELETE FROM images WHERE name = ?", (name,))

    def _insert(
        self, index: sqlite3.Connection, name: str, target: Descriptor, labels: Mapping[str, str]
    ) -> NamedImage:
        _check_whole(index, target)
        now = self._clock()
        row = (name, target.digest, target.encode(), now, now, secrets.token_hex(8))
        index.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?)", row)
        put_labels(index, "image", name, labels)
        return _get(index, name)

    def _update(
        self, index: sqlite3.Connection, name: str, target: Descriptor, labels: Mapping[str, str]
    ) -> NamedImage:
        _check_whole(index, target)
        statement = (
            "UPDATE images SET digest = ?, target = ?, updated = ?, version = ? WHERE name = ?"
        )
        row = (target.digest, target.encode(), self._clock(), secrets.token_hex(8), name)
        index.execute(statement, row)
        put_labels(index, "image", name, labels)
        return _get(index, name)


def _row(index: sqlite3.Connection, name: str) -> Row | None:
    row: Row | None = index.execute(_BY_NAME, (name,)).fetchone()
    return row


def _get(index: sqlite3.Connection, name: str) -> NamedImage:
    row = _row(index, name)
    if row is None:
        raise NotFound(f"there is no image {name!r}")
    return _image(index, row)


def _image(index: sqlite3.Connection, row: Row) -> NamedImage:
    name, target, created, updated, version = row
    return NamedImage(
        name=name,
        target=Descriptor.decode(json.loads(target)),
        labels=get_labels(index, "image", name),
        created=created,
        updated=updated,
        version=version,
    )


def _check_version(index: sqlite3.Connection, name: str, expected: NamedImage | None) -> None:
    found = _get(index, name)
    if expected is not None and found.version != expected.version:
        raise Outdated(
            f"image {name!r} stands for {found.target.digest} since somebody changed it; "
            "read it again"
        )


def _check_whole(index: sqlite3.Connection, target: Descriptor) -> None:
    absent = find_missing(index, target.digest)
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise NotFound(f"{target.digest} cannot be named: blob {absent[0]}{more} is not there")
