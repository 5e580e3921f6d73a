"""gzip (RFC 1952) as blocks of bytes, over the standard library's zlib."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from cachexport.content.layers.blocks import cut_off, full_blocks
from cachexport.content.verify import BLOCK
from cachexport.errors import Integrity

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from cachexport.content.protocols import Reader

_GZIP, _RAW = 31, -15  # what zlib calls wbits: with gzip's header and trailer, or bare deflate
_DEFAULT_LEVEL = 6
_MEMORY_LEVEL = 8
_FASTEST, _SMALLEST = 1, 9
# Bytes that are inflated at a time. An eStargz layer has a member for each of its files, and what
# follows a member is copied: from larger pieces that would cost more than inflating them.
_PIECE = 1 << 16


def compress(reader: Reader, level: int) -> Iterator[bytes]:
    """Give what `reader` has as one gzip member; level -1 is the default one, 6."""
    yield _header(level)
    deflate = zlib.compressobj(
        _DEFAULT_LEVEL if level < 0 else level, zlib.DEFLATED, _RAW, _MEMORY_LEVEL
    )
    checksum = size = 0
    for block in full_blocks(reader):
        checksum = zlib.crc32(block, checksum)
        size += len(block)
        yield deflate.compress(block)
    yield deflate.flush() + struct.pack("<LL", checksum, size & 0xFFFF_FFFF)


def _header(level: int) -> bytes:
    # Written here because zlib would name the operating system in it. No name, no time, the
    # system "unknown": what Go's writer, and so BuildKit, puts there.
    effort = {_FASTEST: 4, _SMALLEST: 2}.get(level, 0)
    return struct.pack("<HBBLBB", 0x8B1F, zlib.DEFLATED, 0, 0, effort, 255)


def decompress(reader: Reader, name: str) -> Iterator[bytes]:
    """Give the content of all members in `reader`; Integrity when it is anything but members.

    As in Go, at least one member has to be there, and nothing else may follow the last one.
    """
    raw = yield from _member(reader, b"", name)
    while raw:
        raw = yield from _member(reader, raw, name)


def _member(reader: Reader, raw: bytes, name: str) -> Generator[bytes, None, bytes]:
    """Give the content of the member that begins with `raw`; return what follows it."""
    member = zlib.decompressobj(_GZIP)
    while not member.eof:
        raw = raw or reader.read(_PIECE)
        if not raw:
            raise cut_off(name)
        yield _inflate(member, raw, name)
        raw = member.unconsumed_tail
    return member.unused_data or reader.read(_PIECE)


def _inflate(member: zlib._Decompress, raw: bytes, name: str) -> bytes:
    try:
        return member.decompress(raw, BLOCK)
    except zlib.error as error:
        raise Integrity(f"{name} is not valid gzip: {error}") from error
