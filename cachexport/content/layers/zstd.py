"""zstd (RFC 8878) as blocks of bytes, over the package zstandard.

That package is imported late: most commands never meet a zstd layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.content.layers.blocks import cut_off, full_blocks, read_exactly, read_full
from cachexport.content.verify import BLOCK
from cachexport.errors import Integrity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zstandard import ZstdDecompressor

    from cachexport.content.protocols import Reader

MAGIC = b"\x28\xb5\x2f\xfd"
"""What a frame begins with."""

_DEFAULT_LEVEL = 3
# BuildKit's encoder has four efforts, about as strong as these levels of libzstd, and takes for
# each attribute value up to the first number the second.
_EFFORTS = ((2, 1), (5, 3), (9, 7), (22, 11))

_PREFIX = 5  # bytes that tell how long a frame's header is
_BLOCK_HEADER = 3
_RLE = 1
_CHECKSUM = 4


def compress(reader: Reader, level: int | None) -> Iterator[bytes]:
    """Give what `reader` has as one zstd frame with a checksum, made by a single thread."""
    from zstandard import ZstdCompressor

    frame = ZstdCompressor(level=_effort(level), write_checksum=True).compressobj()
    for block in full_blocks(reader):
        yield frame.compress(block)
    yield frame.flush()


def _effort(level: int | None) -> int:
    if level is None:
        return _DEFAULT_LEVEL
    return next(effort for up_to, effort in _EFFORTS if level <= up_to)


def is_skippable(prefix: bytes) -> bool:
    """Say whether `prefix` begins a skippable frame: something between frames, not content."""
    return prefix[1:4] == b"\x2a\x4d\x18" and prefix[0] & 0xF0 == 0x50


def decompress(reader: Reader, name: str) -> Iterator[bytes]:
    """Give the content of all frames in `reader`; Integrity when it is anything but frames."""
    from zstandard import ZstdDecompressor, ZstdError

    decompressor = ZstdDecompressor()
    prefix = read_exactly(reader, _PREFIX, name)
    try:
        while prefix:
            if is_skippable(prefix):
                _skip(reader, prefix, name)
            else:
                yield from _frame(reader, prefix, decompressor, name)
            prefix = _next_prefix(reader, name)
    except ZstdError as error:
        raise Integrity(f"{name} is not valid zstd: {error}") from error


def _next_prefix(reader: Reader, name: str) -> bytes:
    prefix = read_full(reader, _PREFIX)
    if 0 < len(prefix) < _PREFIX:
        raise cut_off(name)
    return prefix


def _skip(reader: Reader, prefix: bytes, name: str) -> None:
    left = int.from_bytes(prefix[4:] + read_exactly(reader, 8 - _PREFIX, name), "little")
    while left:
        left -= len(read_exactly(reader, min(left, BLOCK), name))


def _frame(
    reader: Reader, prefix: bytes, decompressor: ZstdDecompressor, name: str
) -> Iterator[bytes]:
    # Fed block by block, each of which holds 128 KiB at most: zstandard can neither limit what
    # one call gives out nor, where it can, tell that a frame was cut off.
    from zstandard import frame_header_size, get_frame_parameters

    if not prefix.startswith(MAGIC):
        raise Integrity(f"{name} is not valid zstd: no frame begins with {prefix[:4].hex()}")
    header = prefix + read_exactly(reader, frame_header_size(prefix) - _PREFIX, name)
    frame = decompressor.decompressobj()
    yield frame.decompress(header)
    last = False
    while not last:
        last, block = _block(reader, name)
        yield frame.decompress(block)
    if get_frame_parameters(header).has_checksum:
        yield frame.decompress(read_exactly(reader, _CHECKSUM, name))


def _block(reader: Reader, name: str) -> tuple[bool, bytes]:
    """Give the next block of a frame with its header, and whether it is the last."""
    header = read_exactly(reader, _BLOCK_HEADER, name)
    number = int.from_bytes(header, "little")
    size = 1 if number >> 1 & 3 == _RLE else number >> 3
    return bool(number & 1), header + read_exactly(reader, size, name)
