from __future__ import annotations

import functools
import io
import tracemalloc
from typing import TYPE_CHECKING, TypeVar

import pytest
from unit.content.layers.samples import CONTENT, Discarding

from cachexport.content.layers.codecs import compress, decompress
from cachexport.content.layers.convert import convert_layer, diff_id
from cachexport.oci.compression import Compression
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachexport.content.protocols import Reader

T = TypeVar("T")
MIB = 1 << 20
SIZE = 64 * MIB
LIMIT = 16 * MIB
PATTERN = CONTENT[:MIB]


class Long(io.RawIOBase):
    """64 MiB that are nowhere in memory: one block, again and again."""

    def __init__(self) -> None:
        self._at = 0

    def read(self, size: int = -1, /) -> bytes:
        assert 0 <= size <= MIB
        start = self._at % MIB
        block = PATTERN[start : start + min(size, SIZE - self._at)]
        self._at += len(block)
        return block


class Source:
    """A provider of one large layer; what it holds was allocated before anything is measured."""

    def __init__(self, compression: Compression) -> None:
        self._raw: bytes | None = None
        if compression is not Compression.UNCOMPRESSED:
            self._raw = b"".join(compress(Long(), compression, 1))
        digest, size = _digest_of(self.open(_ANY))
        self.desc = Descriptor(media_type=compression.media_type, digest=digest, size=size)

    def open(self, desc: Descriptor, /) -> Reader:
        return Long() if self._raw is None else io.BytesIO(self._raw)


_ANY = Descriptor.of(b"", "")


def _digest_of(reader: Reader) -> tuple[Digest, int]:
    hasher, size = _ANY.digest.hasher(), 0
    while block := reader.read(MIB):
        hasher.update(block)
        size += len(block)
    return Digest.parse(f"sha256:{hasher.hexdigest()}"), size


@functools.cache
def _source(compression: Compression) -> Source:
    return Source(compression)


def _traced(work: Callable[[], T]) -> tuple[T, int]:
    """What `work` gives, and the most bytes that were allocated while it ran."""
    tracemalloc.start()
    try:
        return work(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("old", "new"),
    [(old, new) for old in Compression for new in Compression if old is not new],
)
def test_a_large_layer_is_converted_in_little_memory(old: Compression, new: Compression) -> None:
    source = _source(old)
    target = Discarding()
    converted, most = _traced(lambda: convert_layer(source, source.desc, target, new, 1))
    assert most < LIMIT
    assert converted.size == target.size
    assert converted.diff_id == _digest_of(Long())[0]


def test_a_large_diff_id_takes_little_memory() -> None:
    source = _source(Compression.ZSTD)
    found, most = _traced(lambda: diff_id(source, source.desc))
    assert most < LIMIT
    assert found == _digest_of(Long())[0]


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
def test_a_bomb_is_read_in_little_memory(compression: Compression) -> None:
    bomb = b"".join(compress(io.BytesIO(bytes(SIZE)), compression))
    assert len(bomb) < SIZE / 900
    (_, size), most = _traced(lambda: _digest_of(decompress(io.BytesIO(bomb), compression)))
    assert size == SIZE
    assert most < LIMIT


def test_memory_is_measured_at_all() -> None:
    assert _traced(lambda: len(bytearray(LIMIT)))[1] >= LIMIT
