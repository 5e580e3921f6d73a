"""Compressing and decompressing layers, as streams.

Nothing here limits what a small blob may decompress to; memory stays bounded all the same: a few
blocks, and for zstd the window that a frame asks for (128 MiB at most; more is refused). Who
keeps what comes out has to look after disks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.content.layers import gzip, zstd
from cachexport.content.layers.blocks import BlockReader, full_blocks
from cachexport.errors import InvalidAttr
from cachexport.oci.compression import Compression

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cachexport.content.protocols import Reader

MAGIC_SIZE = 4
"""How many bytes `detect` wants to see."""

_GZIP_MAGIC = b"\x1f\x8b\x08"


def detect(first_bytes: bytes) -> Compression:
    """Tell a layer's compression from its first `MAGIC_SIZE` bytes (or all, if it has fewer).

    What begins like neither gzip nor zstd is taken as uncompressed, nothing at all too.
    """
    if first_bytes.startswith(_GZIP_MAGIC):
        return Compression.GZIP
    if first_bytes.startswith(zstd.MAGIC) or zstd.is_skippable(first_bytes):
        return Compression.ZSTD
    return Compression.UNCOMPRESSED


def check_level(compression: Compression, level: int | None) -> None:
    """Raise InvalidAttr unless `level` is a `compression-level` that `compress` takes.

    gzip has -1 (the default: 6) to 9, where 0 only stores. zstd has 0 to 22, of which BuildKit
    makes four efforts, and so do we: 0-2, 3-5 (the default), 6-9 and 10-22 are levels 1, 3, 7 and
    11 of libzstd, whose higher ones need hundreds of MiB. Uncompressed has none and takes any,
    as in BuildKit. None is the default everywhere.
    """
    levels = compression.levels
    if level is not None and levels and level not in levels:
        message = f"compression-level {level} is not one of {compression}'s"
        raise InvalidAttr("compression-level", f"{message} ({levels[0]} to {levels[-1]})")


def compress(reader: Reader, compression: Compression, level: int | None = None) -> Iterator[bytes]:
    """Give what `reader` has, compressed, in blocks; the caller closes `reader`.

    The same content and level give the same bytes, in whatever pieces `reader` gives it, on every
    machine with the same versions of zlib and libzstd. Raises InvalidAttr at once as
    `check_level` does, and while it goes on what `reader` raises.
    """
    check_level(compression, level)
    if compression is Compression.GZIP:
        return gzip.compress(reader, -1 if level is None else level)
    if compression is Compression.ZSTD:
        return zstd.compress(reader, level)
    return full_blocks(reader)


def decompress(reader: Reader, compression: Compression, name: str = "stream") -> Reader:
    """Give a stream of what `reader` has, decompressed; closing it closes `reader`.

    Reads to the end of `reader`: all members of gzip, all frames of zstd. Reading raises
    Integrity, which calls the stream `name`, when it is cut off or not what `compression` says,
    and what `reader` raises.
    """
    if compression is Compression.GZIP:
        return BlockReader(gzip.decompress(reader, name), reader)
    if compression is Compression.ZSTD:
        return BlockReader(zstd.decompress(reader, name), reader)
    return reader
