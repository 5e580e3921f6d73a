"""Answering with the content of a blob, or with a part of it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.verify import BLOCK
from cachexport.errors import BackendError
from cachexport.gateway.refusal import Refusal
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Executor

    from starlette.types import Message, Receive, Scope, Send

    from cachexport.content.protocols import Reader
    from cachexport.gateway.content import Layered
    from cachexport.oci.digest import Digest

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `start` to `end` of `size`, the end not included."""

    start: int
    end: int
    size: int

    @property
    def is_whole(self) -> bool:
        """Whether it is all."""
        return (self.start, self.end) == (0, self.size)


def wanted_part(header: str | None, size: int) -> Part:
    """Read a Range header; what is no single range of bytes means all. Raises Refusal."""
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or not (found[1] or found[2]):
        return Part(0, size, size)
    if found[1]:
        start = int(found[1])
        end = min(int(found[2]) + 1, size) if found[2] else size
    else:
        start, end = max(0, size - int(found[2])), size
    if start >= end:
        headers = {"Content-Range": f"bytes */{size}"}
        raise Refusal(416, "RANGE_INVALID", f"there are {size} bytes, not {header}", headers)
    return Part(start, end, size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """An answer that streams a part of a blob, no faster than the client takes it."""

    content: Layered
    digest: Digest
    part: Part
    executor: Executor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it all. A blob that ends early breaks the connection: nobody takes it for all."""
        opened = await self._call(self._open) if scope["method"] != "HEAD" else None
        await send({"type": "http.response.start", "status": self._status, "headers": self._head()})
        if opened is None:
            await send({"type": "http.response.body", "body": b""})
            return
        gone = asyncio.ensure_future(receive())
        try:
            await self._stream(opened, send, gone)
        finally:
            gone.cancel()
            await self._call(opened.close)

    @property
    def _status(self) -> int:
        return 200 if self.part.is_whole else 206

    def _head(self) -> list[tuple[bytes, bytes]]:
        part = self.part
        head = {
            "content-type": "application/octet-stream",
            "content-length": str(part.end - part.start),
            "accept-ranges": "bytes",
            "docker-content-digest": str(self.digest),
            "etag": f'"{self.digest}"',
        }
        if not part.is_whole:
            head["content-range"] = f"bytes {part.start}-{part.end - 1}/{part.size}"
        return [(key.encode(), value.encode()) for key, value in head.items()]

    def _open(self) -> Reader:
        desc = Descriptor(digest=self.digest, size=self.part.size)
        return self.content.open_from(desc, self.part.start)

    async def _stream(self, reader: Reader, send: Send, gone: asyncio.Future[Message]) -> None:
        left = self.part.end - self.part.start
        ahead = self._ahead(reader, left)
        while left:
            block = await ahead
            # What is sent to nobody raises nothing.
            if gone.done() and gone.result()["type"] == "http.disconnect":
                return
            left -= len(block)
            if not block:
                raise BackendError(f"blob {self.digest} ended early", op="read", temporary=True)
            if left:
                ahead = self._ahead(reader, left)
            try:
                await send({"type": "http.response.body", "body": block, "more_body": left > 0})
            except BaseException:
                await asyncio.wait([ahead])  # nobody may read what is closed
                raise
        if self.part.start == self.part.end:
            await send({"type": "http.response.body", "body": b""})

    def _ahead(self, reader: Reader, left: int) -> asyncio.Future[bytes]:
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self.executor, reader.read, min(BLOCK, left))

    def _call(self, work: Callable[[], Reader | None]) -> Awaitable[Reader | None]:
        return asyncio.get_running_loop().run_in_executor(self.executor, work)
