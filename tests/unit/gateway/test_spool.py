"""Blobs that come in parts, on their way through the spool."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self, cast

import pytest

from cachexport import Descriptor, Digest, MemoryContent
from cachexport.errors import Integrity
from cachexport.gateway import uploads
from cachexport.gateway.uploads import Spool, Spooled, Upload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cachexport.gateway.shelf.origins import HostingPlace

PARTS = [b"a" * 100_000, b"b" * 7, b"c" * 50_000]
WHOLE = b"".join(PARTS)


class Hasher:
    """SHA-256 that counts the bytes of all of its kind."""

    hashed = 0

    def __init__(self) -> None:
        self._hasher = hashlib.sha256()
        self.name = self._hasher.name

    def update(self, block: bytes) -> None:
        Hasher.hashed += len(block)
        self._hasher.update(block)

    def hexdigest(self) -> str:
        return self._hasher.hexdigest()


class Counted(Digest):
    """A digest whose hashers count, too."""

    def hasher(self) -> Any:
        return Hasher()

    @classmethod
    def counting(cls, digest: Digest) -> Self:
        return str.__new__(cls, digest)


class Place:
    """As much of a place as an upload needs."""

    def __init__(self) -> None:
        self.content = MemoryContent()

    @contextmanager
    def ingesting(self) -> Iterator[MemoryContent]:
        yield self.content


@pytest.fixture(autouse=True)
def _count(monkeypatch: pytest.MonkeyPatch) -> None:
    Hasher.hashed = 0
    monkeypatch.setattr(uploads, "hashlib", SimpleNamespace(sha256=Hasher))


def test_a_blob_that_comes_in_parts_is_hashed_once(tmp_path: Path) -> None:
    place, digest = Place(), Digest.of(WHOLE)
    Hasher.hashed = 0
    upload = Upload("app", cast("HostingPlace", place), Spool(tmp_path, 1 << 20))
    for part in PARTS:
        upload.write(part)
    upload.commit(Counted.counting(digest))
    upload.close()
    assert not place.content.missing([Descriptor.of(WHOLE, "")])
    assert Hasher.hashed == len(WHOLE)


def test_what_came_otherwise_is_refused(tmp_path: Path) -> None:
    place = Place()
    upload = Upload("app", cast("HostingPlace", place), Spool(tmp_path, 1 << 20))
    upload.write(b"x")
    with pytest.raises(Integrity, match="what came has the digest"):
        upload.commit(Digest.of(b"y"))
    upload.close()
    assert place.content.missing([Descriptor.of(b"x", "")])


def test_a_spooled_file_that_lost_its_end_is_not_stored(tmp_path: Path) -> None:
    content, desc = MemoryContent(), Descriptor.of(WHOLE, "")
    spooled = Spooled(Spool(tmp_path, 1 << 20), content)
    spooled.write(WHOLE)
    os.ftruncate(spooled._file.fileno(), 10)
    with pytest.raises(Integrity, match="lost 149997 bytes"):
        spooled.commit(desc)
    spooled.close()
    assert content.missing([desc])
