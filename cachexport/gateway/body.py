"""The body of a request, read by a thread while the event loop receives it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cachexport.content.verify import BLOCK
from cachexport.gateway.refusal import Refusal

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from concurrent.futures import Future

    from starlette.types import Receive


class Body:
    """A Reader over what a client sends, for a thread that is not the loop's.

    One block is received ahead, and no more. A client that takes more than `patience` seconds for
    a block is refused, and so is one that goes away.
    """

    def __init__(self, receive: Receive, loop: AbstractEventLoop, patience: float) -> None:
        self._receive = receive
        self._loop = loop
        self._patience = patience
        self._left = b""
        self._is_over = False
        self._ahead: Future[bytes] | None = None
        self.size = 0
        """Bytes that were read."""

    def read(self, size: int, /) -> bytes:
        """See Reader. Raises Refusal."""
        left = self._left or self._next()
        block, self._left = (left, b"") if len(left) <= size else (left[:size], left[size:])
        self.size += len(block)
        return block

    def close(self) -> None:
        """See Reader."""
        if self._ahead is not None:
            self._ahead.cancel()

    def _next(self) -> bytes:
        ahead = self._ahead or self._begin()
        block = ahead.result()
        self._ahead = self._begin() if block else ahead
        return block

    def _begin(self) -> Future[bytes]:
        return asyncio.run_coroutine_threadsafe(self._collect(), self._loop)

    async def _collect(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._patience):
                while size < BLOCK and not self._is_over:
                    part = await self._part()
                    parts.append(part)
                    size += len(part)
        except TimeoutError:
            message = f"nothing came for {self._patience:g} seconds, or too little"
            raise Refusal(408, "BLOB_UPLOAD_INVALID", message) from None
        return b"".join(parts)

    async def _part(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Refusal(400, "BLOB_UPLOAD_INVALID", "the client went away")
        self._is_over = not message.get("more_body", False)
        return bytes(message.get("body", b""))
