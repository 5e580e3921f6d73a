"""Answers about blobs, with their content or a part of it."""

from __future__ import annotations

import asyncio
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from cachexport.content.verify import VerifyingReader
from cachexport.errors import BackendError, Integrity, NotFound
from cachexport.gateway.http.refusal import Refusal, blob_unknown
from cachexport.gateway.http.request import MOST, number
from cachexport.gateway.http.threads import do
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

    from starlette.types import Message, Receive, Scope, Send

    from cachexport.content.protocols import Reader
    from cachexport.gateway.http.request import Call
    from cachexport.gateway.shelf.origins import ShelfContent
    from cachexport.oci.digest import Digest


_LARGEST, _LEAST = 512 << 10, 64 << 10
"""Bytes of a block at most and at least. Each block takes a turn of the loop and of a thread."""
_ALL = 16 << 20
"""Bytes of the blocks of all downloads together; as many again are read ahead."""
_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `start` to `end` of `size`, the end not included."""

    start: int
    end: int
    size: int

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole blob."""
        return (self.start, self.end) == (0, self.size)


def wanted_part(header: str | None, size: int) -> Part:
    """Read a Range header; anything but one range of bytes means the whole blob.

    Raises Refusal for a range that lies outside of the blob.
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or not (found[1] or found[2]):
        return Part(0, size, size)
    if found[1]:
        start, last = number(found[1]), number(found[2]) if found[2] else MOST
        if last < start:
            return Part(0, size, size)
        end = min(last + 1, size)
    else:
        start, end = max(0, size - number(found[2])), size
    if start >= end:
        headers = {"Content-Range": f"bytes */{size}"}
        raise Refusal(416, "SIZE_INVALID", f"there are {size} bytes, not {header}", headers)
    return Part(start, end, size)


class Pace:
    """Chooses the size of blocks by the number of downloads. It belongs to one event loop."""

    def __init__(self) -> None:
        self._count = 0

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Count one more download in the block."""
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1

    @property
    def block(self) -> int:
        """Give the bytes of a block, as of now."""
        return max(_LEAST, min(_LARGEST, _ALL // max(self._count, 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """An answer that streams a part of a blob, no faster than the client takes it."""

    content: ShelfContent
    digest: Digest
    part: Part
    executor: Executor
    pace: Pace
    verify: bool
    """Whether a blob that is sent as a whole is hashed on the way."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head and the part.

        A blob that ends early or has another digest breaks the connection before its last block, so
        that no client takes it for complete.
        """
        head = {"type": "http.response.start", "status": self._status, "headers": self._head()}
        if scope["method"] == "HEAD":
            await send(head)
            await send({"type": "http.response.body", "body": b""})
            return
        with self.pace.kept():
            await self._give(head, receive, send)

    async def _give(self, head: Message, receive: Receive, send: Send) -> None:
        opened = await do(self.executor, self._open)
        gone = asyncio.ensure_future(_departure(receive))
        try:
            # The first block is read before the head is sent: until then an error can be answered.
            first = await do(self.executor, self._read, opened, self._length)
            await send(head)
            await self._stream(opened, first, send, gone)
        finally:
            gone.cancel()
            await do(self.executor, opened.close)

    @property
    def _status(self) -> int:
        return 200 if self.part.is_whole else 206

    def _head(self) -> list[tuple[bytes, bytes]]:
        part = self.part
        head = {
            "content-type": "application/octet-stream",
            "content-length": str(self._length),
            "accept-ranges": "bytes",
            "docker-content-digest": str(self.digest),
            "etag": f'"{self.digest}"',
        }
        if not part.is_whole:
            head["content-range"] = f"bytes {part.start}-{part.end - 1}/{part.size}"
        return [(key.encode(), value.encode()) for key, value in head.items()]

    @property
    def _length(self) -> int:
        return self.part.end - self.part.start

    def _open(self) -> Reader:
        desc = Descriptor(digest=self.digest, size=self.part.size)
        reader = self.content.open_from(desc, self.part.start)
        return VerifyingReader(reader, desc) if self.verify and self.part.is_whole else reader

    def _read(self, reader: Reader, left: int) -> bytes:
        try:
            block = reader.read(min(self.pace.block, left))
        except Integrity as error:
            raise Refusal(404, "BLOB_UNKNOWN", f"it is not served, for {error}") from error
        if not block and left:
            raise BackendError(f"blob {self.digest} ended early", op="read", temporary=True)
        return block

    async def _stream(
        self, reader: Reader, block: bytes, send: Send, gone: asyncio.Future[None]
    ) -> None:
        left = self._length - len(block)
        while left:
            ahead = asyncio.ensure_future(do(self.executor, self._read, reader, left))
            try:
                await send({"type": "http.response.body", "body": block, "more_body": True})
            except BaseException:
                await asyncio.wait([ahead])  # the reader may not be closed while it reads
                raise
            block = await ahead
            # Sending to a client that has left raises nothing.
            if gone.done():
                return
            left -= len(block)
        await send({"type": "http.response.body", "body": block})


async def _departure(receive: Receive) -> None:
    """Wait until the client has left; skip anything that it sent before."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def get(call: Call) -> Download:
    """Give a blob, or for HEAD only its headers."""
    digest = call.digest(call.route.item)
    call.exchange.digest = digest
    try:
        shelf, info = await call.look(lambda shelf: (shelf, shelf.content.info(digest)))
    except NotFound as error:
        raise blob_unknown(digest) from error
    call.exchange.size = info.size
    wanted = call.request.headers.get("range") if call.request.method == "GET" else None
    part = wanted_part(wanted, info.size)
    return Download(
        content=shelf.content,
        digest=digest,
        part=part,
        executor=call.executor(shelf),
        pace=call.pace,
        verify=call.verify,
    )


async def delete(call: Call) -> NoReturn:
    """Refuse: other names may need the blob; only `prune` knows."""
    call.visitor.check_delete(call.route.repository)
    message = "blobs are deleted by `cachexport prune`, when no name needs them"
    raise Refusal(405, "UNSUPPORTED", message)
