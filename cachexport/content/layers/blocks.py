"""Streams as blocks of bytes and back: what compressing and decompressing are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.content.verify import BLOCK
from cachexport.errors import Integrity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cachexport.content.protocols import Reader


class BlockReader:
    """A stream over blocks that are made while it is read, from the stream `below`.

    Closing it closes `below`.
    """

    def __init__(self, blocks: Iterator[bytes], below: Reader) -> None:
        self._blocks = blocks
        self._below = below
        self._rest = memoryview(b"")

    def read(self, size: int = -1, /) -> bytes:
        """Give the next bytes, `size` at most (all for a negative one); none at the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(BLOCK), b""))
        while size and not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return b""
            self._rest = memoryview(block)
        taken, self._rest = self._rest[:size], self._rest[size:]
        return bytes(taken)

    def close(self) -> None:
        """Close the stream below; twice is fine."""
        self._rest = memoryview(b"")
        self._below.close()


def read_full(reader: Reader, size: int) -> bytes:
    """Give the next `size` bytes, fewer only at the end; a plain read may give fewer anywhere."""
    parts = [reader.read(size)]
    missing = size - len(parts[0])
    while missing and parts[-1]:
        parts.append(reader.read(missing))
        missing -= len(parts[-1])
    return b"".join(parts) if len(parts) > 1 else parts[0]


def read_exactly(reader: Reader, size: int, name: str) -> bytes:
    """Give the next `size` bytes; Integrity, calling the stream `name`, when it ends before."""
    found = read_full(reader, size)
    if len(found) < size:
        raise cut_off(name)
    return found


def full_blocks(reader: Reader) -> Iterator[bytes]:
    """Give what `reader` has in blocks that are all of one size, but for the last.

    So it makes no difference to a compressor in what pieces a source gives its bytes.
    """
    while block := read_full(reader, BLOCK):
        yield block


def cut_off(name: str) -> Integrity:
    """Say that the stream called `name` ends in the middle of something."""
    return Integrity(f"{name} is truncated")
