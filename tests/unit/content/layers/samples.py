"""Layers, and places for them, that the tests here use."""

from __future__ import annotations

import functools
import io
from contextlib import closing
from typing import TYPE_CHECKING

from cachexport.content.layers.codecs import compress, decompress
from cachexport.content.memory import MemoryContent
from cachexport.oci.descriptor import UNCOMPRESSED, Descriptor
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cachexport.content.protocols import Reader
    from cachexport.oci.compression import Compression

# Partly repetitive, partly not, and several blocks long when decompressed.
CONTENT = b"".join(b"file %d " % i + Digest.of(b"%d" % i).encode() for i in range(14_000))


def packed(content: bytes, compression: Compression, level: int | None = None) -> bytes:
    return b"".join(compress(io.BytesIO(content), compression, level))


packed_once = functools.cache(packed)


class Modest(io.BytesIO):
    """A stream that nobody may ask for much at once."""

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert 0 <= size <= 1 << 21
        return super().read(size)


def unpacked(blob: bytes, compression: Compression) -> bytes:
    with closing(decompress(Modest(blob), compression, "it")) as reader:
        return b"".join(iter(lambda: reader.read(1 << 16), b""))


def layer(
    content: bytes, compression: Compression, **annotations: str
) -> tuple[MemoryContent, Descriptor]:
    """A layer and its source; the annotations are the diff ID and what is given."""
    annotations = {UNCOMPRESSED: Digest.of(content)} | annotations
    return blob(packed_once(content, compression), compression.media_type, annotations)


def blob(
    raw: bytes, media_type: str, annotations: dict[str, str] | None = None
) -> tuple[MemoryContent, Descriptor]:
    desc = Descriptor(
        media_type=media_type,
        digest=Digest.of(raw),
        size=len(raw),
        annotations=annotations or {},
    )
    return MemoryContent([raw]), desc


def bytes_of(source: MemoryContent, desc: Descriptor) -> bytes:
    with closing(source.open(desc)) as reader:
        return reader.read(desc.size + 1)


class Trickle(io.BytesIO):
    """A stream that gives only a few bytes at a time, in pieces of changing length."""

    def read(self, size: int | None = -1, /) -> bytes:
        few = self.tell() % 7 + 1
        return super().read(few if size is None or size < 0 else min(size, few))


class Watched:
    """A provider whose readers are kept, to see whether they were closed."""

    def __init__(self, source: MemoryContent) -> None:
        self._source = source
        self.opened: list[io.BytesIO] = []

    def open(self, desc: Descriptor, /) -> Reader:
        self.opened.append(io.BytesIO(bytes_of(self._source, desc)))
        return self.opened[-1]


class Discarding:
    """An ingester that reads everything and keeps only counts."""

    def __init__(self) -> None:
        self.size = self.asked = 0

    def missing(self, descs: Iterable[Descriptor], /) -> set[Digest]:
        self.asked += 1
        return {desc.digest for desc in descs}

    def ingest(self, desc: Descriptor, reader: Reader, /) -> None:
        while block := reader.read(1 << 20):
            self.size += len(block)
