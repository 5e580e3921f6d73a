"""A request: its path, its body, and what is needed to answer it."""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from urllib.parse import unquote

from cachexport.content.verify import BLOCK
from cachexport.errors import InvalidDigest, InvalidReference, NotFound
from cachexport.gateway.http.refusal import Refusal, later
from cachexport.gateway.http.threads import do
from cachexport.gateway.shelf.names import check_reference
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncGenerator, Callable, Coroutine
    from concurrent.futures import Executor
    from typing import Any

    from starlette.requests import Request
    from starlette.types import Receive

    from cachexport.gateway.http.access import Visitor
    from cachexport.gateway.http.blobs import Pace
    from cachexport.gateway.http.exchange import Exchange
    from cachexport.gateway.http.threads import Threads
    from cachexport.gateway.publishing import Publishing
    from cachexport.gateway.shelf.shelf import Shelf
    from cachexport.gateway.uploads import Uploads


MOST = (1 << 63) - 1
"""Larger than any count or size here: a signed 64-bit integer."""
_DIGITS = len(str(MOST))


def number(digits: str) -> int:
    """Read decimal digits, any number of them; give at most `MOST`.

    Python's own `int` raises ValueError beyond 4,300 digits.
    """
    significant = digits.lstrip("0") or "0"
    return min(int(significant), MOST) if len(significant) <= _DIGITS else MOST


_PREFIX = "/v2/"
_KINDS = (
    ("uploads", re.compile(r"(.+)/blobs/uploads/([A-Za-z0-9_-]*)")),
    ("uploads", re.compile(r"(.+)/blobs/uploads()")),
    ("blobs", re.compile(r"(.+)/blobs/([^/]+)")),
    ("manifests", re.compile(r"(.+)/manifests/([^/]+)")),
    ("tags", re.compile(r"(.+)/tags/(list)")),
)


@dataclass(frozen=True, slots=True)
class Route:
    """The meaning of a path. `item` is a tag, digest or upload as the client sent it."""

    kind: str
    repository: str = ""
    item: str = ""


def read_route(raw_path: str) -> Route:
    """Read a path as it was sent, still percent-encoded. Raises Refusal for an unknown one.

    A repository needs no encoding, so one with an encoded slash or point is refused.
    """
    if raw_path in (_PREFIX, _PREFIX.rstrip("/")):
        return Route("base")
    if not raw_path.startswith(_PREFIX):
        raise Refusal(404, "NAME_UNKNOWN", "only /v2/ is served here")
    for kind, pattern in _KINDS:
        found = pattern.fullmatch(raw_path, len(_PREFIX))
        if found is not None:
            _check_repository(found[1])
            return Route(kind, found[1], unquote(found[2]))
    raise Refusal(404, "NAME_UNKNOWN", "no path of the distribution API")


def _check_repository(repository: str) -> None:
    try:
        check_reference(repository)
    except InvalidReference as error:
        raise Refusal(400, "NAME_INVALID", str(error)) from error


_T = TypeVar("_T")


class Body:
    """The body of a request, in blocks; one block is received ahead.

    A client that takes more than `timeout` seconds for a block is refused, and so is one that
    disconnects. Waiting for a client holds no thread.
    """

    def __init__(self, receive: Receive, timeout: float) -> None:
        self._receive = receive
        self._timeout = timeout
        self._is_over = False
        self._failure: Refusal | None = None
        self.size = 0
        """Bytes that `blocks` gave so far."""

    async def blocks(self) -> AsyncGenerator[bytes]:
        """Give all blocks, once. Raises Refusal after the last that came. The caller closes."""
        ahead = asyncio.ensure_future(self._collect())
        try:
            while block := await ahead:
                ahead = asyncio.ensure_future(self._collect())
                self.size += len(block)
                yield block
        finally:
            ahead.cancel()

    async def read_all(self, limit: int) -> bytes:
        """Give the whole of a small body. Raises Refusal when it has more than `limit` bytes."""
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
    """A Reader over a body, for threads other than the event loop's."""

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


_P = ParamSpec("_P")

ANSWERING = 20.0
"""Seconds to wait for a place. One that hangs is then left alone for as long."""
LISTING = 300.0
"""Seconds to wait for a place that lists all its names."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request, with all that is needed to answer it."""

    request: Request
    route: Route
    shelf: Shelf
    publishing: Publishing
    visitor: Visitor
    uploads: Uploads
    threads: Threads
    exchange: Exchange
    pace: Pace
    timeout: float
    """Seconds that a client may take to send a block."""
    verify: bool
    """Whether blobs are also hashed on their way out."""

    async def soon(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do something short in a thread. Raises Refusal after ANSWERING seconds."""
        try:
            async with asyncio.timeout(ANSWERING):
                return await do(self.threads.short, work, *args, **kwargs)
        except TimeoutError:
            raise _no_answer(self.shelf) from None

    async def listed(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do something that goes through all names. Raises Refusal after LISTING seconds.

        A slow listing does not mean that the place hangs, so it is not left alone.
        """
        try:
            async with asyncio.timeout(LISTING):
                return await do(self.threads.long, work, *args, **kwargs)
        except TimeoutError:
            message = f"the names were not listed within {LISTING:g} seconds"
            raise later(503, "UNAVAILABLE", message) from None

    async def long(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do something in a thread that takes as long as a transfer."""
        return await do(self.threads.long, work, *args, **kwargs)

    async def look(self, work: Callable[[Shelf], _T]) -> _T:
        """Do `work` with the store and, where that raises NotFound, with each upstream in turn."""
        try:
            return await self.soon(work, self.shelf.alone)
        except NotFound as error:
            missing = error
        for shelf in self.shelf.upstream:
            try:
                async with asyncio.timeout(ANSWERING):
                    return await do(self.threads.far, work, shelf)
            except NotFound:
                continue
            except TimeoutError:
                _no_answer(shelf)
        raise missing

    def executor(self, shelf: Shelf) -> Executor:
        """Give the threads for reading from a shelf that `look` gave."""
        return self.threads.far if shelf in self.shelf.upstream else self.threads.short

    def body(self) -> Body:
        """Give the body of the request."""
        return Body(self.request.receive, self.timeout)

    @property
    def size(self) -> int | None:
        """The Content-Length; None without one."""
        text = self.request.headers.get("content-length", "")
        return number(text) if text.isdecimal() else None

    def digest(self, text: str) -> Digest:
        """Read a digest. Raises Refusal unless it is one of sha256."""
        try:
            found = Digest.parse(text)
        except InvalidDigest as error:
            raise Refusal(400, "DIGEST_INVALID", str(error)) from error
        if found.algorithm != "sha256":
            raise Refusal(400, "DIGEST_INVALID", f"only sha256 is stored here, not {text}")
        return found


def _no_answer(shelf: Shelf) -> Refusal:
    """Leave a place that hangs alone for a while, else it would block all threads."""
    [origin, *_] = shelf.origins
    origin.leave(ANSWERING)
    message = f"{origin.place.title} has not answered for {ANSWERING:g} seconds"
    _log.warning("%s", message)
    return later(503, "UNAVAILABLE", message)
