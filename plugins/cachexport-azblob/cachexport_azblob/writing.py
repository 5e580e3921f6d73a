"""Writing block blobs: in one piece, or in blocks of which no two are in memory at once."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from cachexport.plugin import BLOCK

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachexport.plugin import Reader

_MOST_BLOCKS = 50_000


def write_blob(
    blob: Any, reader: Reader, size: int, part_size: int, made: Callable[[Any], Any]
) -> None:
    """Write `size` bytes, seen when all are there. Raises what the reader and the SDK raise.

    `made` calls what it is given, again if there is no container at first.
    """
    if size <= part_size:
        body = _fill(reader, size)
        reader.read(1)  # of an empty blob nothing was read, and so nothing verified, before
        made(lambda: blob.upload_blob(body, length=len(body), overwrite=True))
        return
    part_size = max(part_size, -(-size // _MOST_BLOCKS))
    blocks = _block_names(-(-size // part_size))
    for block in blocks:
        body = _fill(reader, part_size)
        made(lambda block=block, body=body: blob.stage_block(block, body, length=len(body)))
    _commit(blob, blocks)


def _block_names(count: int) -> list[str]:
    """Name the blocks of one upload, so that two who write at once never mix theirs.

    All names of blocks that wait for one blob have to be as long: BuildKit's have 20 bytes.
    """
    upload = secrets.token_hex(7)
    return [f"{upload}{number:06d}" for number in range(count)]


def _commit(blob: Any, blocks: list[str]) -> None:
    from azure.storage.blob import BlobBlock

    blob.commit_block_list([BlobBlock(block) for block in blocks])


def _fill(reader: Reader, size: int) -> bytes:
    """Read so many bytes, or what is left."""
    body = bytearray()
    while len(body) < size and (block := reader.read(min(BLOCK, size - len(body)))):
        body += block
    return bytes(body)
