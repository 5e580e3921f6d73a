"""The body of a request, as the event loop receives it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

from cachexport.content.verify import BLOCK
from cachexport.gateway.http.refusal import Refusal

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncGenerator, Coroutine
    from typing import Any

    from starlette.types import Receive

_T = TypeVar("_T")


class Body:
    """What a client sends, in blocks; one is received ahead, and no more.

    A client that takes more than `timeout` seconds for a block is refused, and so is one that
    goes away. Nobody holds a thread while it waits for the client.
    """

    def __init__(self, receive: Receive, timeout: float) -> None:
        self._receive = receive
        self._timeout = timeout
        self._is_over = False
        self._failure: Refusal | None = None
        self.size = 0
        """Bytes that were given out."""

    async def blocks(self) -> AsyncGenerator[bytes]:
        """Give all blocks, once. Raises Refusal when all is given that came. The caller closes."""
        ahead = asyncio.ensure_future(self._collect())
        try:
            while block := await ahead:
                ahead = asyncio.ensure_future(self._collect())
                self.size += len(block)
                yield block
        finally:
            ahead.cancel()

    async def read_all(self, limit: int) -> bytes:
        """Give all of a small body. Raises Refusal when it has more than `limit` bytes."""
        parts: list[bytes] = []
        async with aclosing(self.blocks()) as blocks:
            async for block in blocks:
                parts.append(block)
                if self.size > limit:
                    raise Refusal(413, "SIZE_INVALID", f"a manifest has {limit:,} bytes at most")
        return b"".join(parts)

    async def _collect(self) -> bytes:
        if self._failure is not None:
            raise self._failure
        parts: list[bytes] = []
        try:
            await self._fill(parts)
        except Refusal as error:
            if not any(parts):
                raise
            self._failure = error
        return b"".join(parts)

    async def _fill(self, parts: list[bytes]) -> None:
        size = 0
        try:
            async with asyncio.timeout(self._timeout):
                while size < BLOCK and not self._is_over:
                    part = await self._part()
                    size += len(part)
                    parts.append(part)
        except TimeoutError:
            message = f"nothing came for {self._timeout:g} seconds, or too little"
            raise Refusal(408, "BLOB_UPLOAD_INVALID", message) from None

    async def _part(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Refusal(400, "BLOB_UPLOAD_INVALID", "the client went away")
        self._is_over = not message.get("more_body", False)
        return bytes(message.get("body", b""))


class BodyReader:
    """A Reader over a body, for a thread that is not the loop's."""

    def __init__(self, body: Body, loop: AbstractEventLoop) -> None:
        self._blocks = body.blocks()
        self._loop = loop
        self._left = b""

    def read(self, size: int, /) -> bytes:
        """See Reader. Raises Refusal."""
        left = self._left or self._wait(self._next())
        block, self._left = left[:size], left[size:]
        return block

    def close(self) -> None:
        """See Reader."""
        self._wait(self._blocks.aclose())

    async def _next(self) -> bytes:
        return await anext(self._blocks, b"")

    def _wait(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
