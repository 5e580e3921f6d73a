"""A request on its way through the gateway."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from cachexport.content.verify import BLOCK
from cachexport.errors import InvalidDigest
from cachexport.gateway.body import Body
from cachexport.gateway.refusal import Refusal
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from starlette.requests import Request

    from cachexport.gateway.access import Visitor
    from cachexport.gateway.publishing import Publishing
    from cachexport.gateway.record import Record
    from cachexport.gateway.routes import Target
    from cachexport.gateway.shelf import Shelf
    from cachexport.gateway.upload import Uploads

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Threads:
    """Where the work of backends is done, which waits."""

    short: Executor
    long: Executor
    """For uploads and what is made of them: as many at once as it has threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request, with all that it needs."""

    request: Request
    target: Target
    shelf: Shelf
    publishing: Publishing
    visitor: Visitor
    uploads: Uploads
    threads: Threads
    record: Record
    patience: float
    """Seconds for which a client may take to send a block."""

    async def soon(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do something that takes a moment in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads.short, partial(work, *args, **kwargs))

    async def long(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do something that takes as long as a transfer in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads.long, partial(work, *args, **kwargs))

    def body(self) -> Body:
        """Give what the client sends, for a thread to read."""
        return Body(self.request.receive, asyncio.get_running_loop(), self.patience)

    @property
    def size(self) -> int | None:
        """How many bytes the client says it sends."""
        text = self.request.headers.get("content-length", "")
        return int(text) if text.isdigit() else None

    def digest(self, text: str) -> Digest:
        """Read a digest. Raises Refusal for what is none, or of an algorithm that is not used."""
        try:
            found = Digest.parse(text)
        except InvalidDigest as error:
            raise Refusal(400, "DIGEST_INVALID", str(error)) from error
        if found.algorithm != "sha256":
            raise Refusal(400, "DIGEST_INVALID", f"only sha256 is stored here, not {text}")
        return found


def read_all(body: Body, limit: int) -> bytes:
    """Read a small body. Raises Refusal when it has more than `limit` bytes."""
    parts: list[bytes] = []
    for block in iter(lambda: body.read(BLOCK), b""):
        parts.append(block)
        if body.size > limit:
            raise Refusal(413, "SIZE_INVALID", f"a manifest has {limit:,} bytes at most")
    return b"".join(parts)
