"""What lies behind signed URLs: blobs of Azure's, written once."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cachexport.errors import BackendError
from cachexport.plugin import BLOCK
from cachexport_gha.errors import from_storage

if TYPE_CHECKING:
    from cachexport.plugin import Reader

_PART = 8 << 20
_MOST_PARTS = 50_000
_CHUNK = 4 << 20


class Blob:
    """The blob at a signed URL; `where` is how messages call it, for the URL is a login."""

    def __init__(self, url: str, where: str) -> None:
        from azure.storage.blob import BlobClient

        self._where = where
        if urlsplit(url).scheme not in ("http", "https"):
            message = f"{where}: the service gave no URL of a storage; is that GitHub's?"
            raise BackendError(message, op="read")
        self._client: Any = BlobClient.from_blob_url(
            url, max_single_get_size=_CHUNK, max_chunk_get_size=_CHUNK, user_agent="cachexport"
        )

    def size(self) -> int:
        """Give its bytes. Raises Expired, BackendError."""
        with from_storage("head", self._where):
            return int(self._client.get_blob_properties().size)

    def read(self, start: int = 0) -> Reader:
        """Read from a byte on; the caller closes."""
        with from_storage("read", self._where):
            return _Body(self._client.download_blob(offset=start or None), self._where)

    def load(self) -> bytes:
        """Give all of it."""
        with from_storage("read", self._where):
            raw: bytes = self._client.download_blob().readall()
            return raw

    def write(self, reader: Reader, size: int) -> None:
        """Write `size` bytes, of which no more than one part is in memory."""
        if size <= _PART:
            body = _fill(reader, size)
            reader.read(1)  # of an empty one nothing was read, and so nothing verified, before
            with from_storage("write", self._where):
                self._client.upload_blob(body, length=len(body), overwrite=True)
            return
        part = max(_PART, -(-size // _MOST_PARTS))
        upload = secrets.token_hex(7)
        names = [f"{upload}{number:06d}" for number in range(-(-size // part))]
        for name in names:
            body = _fill(reader, part)
            with from_storage("write", self._where):
                self._client.stage_block(name, body, length=len(body))
        from azure.storage.blob import BlobBlock

        with from_storage("write", self._where):
            self._client.commit_block_list([BlobBlock(name) for name in names])


class _Body:
    """A download whose errors are ours."""

    def __init__(self, download: Any, where: str) -> None:
        self._download = download
        self._where = where

    def read(self, size: int, /) -> bytes:
        with from_storage("read", self._where):
            block: bytes = self._download.read(size)
            return block

    def close(self) -> None:
        self._download = None


def _fill(reader: Reader, size: int) -> bytes:
    body = bytearray()
    while len(body) < size and (block := reader.read(min(BLOCK, size - len(body)))):
        body += block
    return bytes(body)
