"""A request on its way through the gateway."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from cachexport.errors import InvalidDigest, NotFound
from cachexport.gateway.http.body import Body
from cachexport.gateway.http.numbers import number
from cachexport.gateway.http.refusal import Refusal, later
from cachexport.gateway.http.threads import do
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from starlette.requests import Request

    from cachexport.gateway.http.access import Visitor
    from cachexport.gateway.http.download import Pace
    from cachexport.gateway.http.record import Record
    from cachexport.gateway.http.routes import Target
    from cachexport.gateway.http.threads import Threads
    from cachexport.gateway.publishing import Publishing
    from cachexport.gateway.shelf.shelf import Shelf
    from cachexport.gateway.uploads.upload import Uploads

_P = ParamSpec("_P")
_T = TypeVar("_T")

ANSWERING = 20.0
"""Seconds for which a question waits for a place; what hangs is asked no more for as long."""
LISTING = 300.0
"""Seconds for which a question about many names waits."""
_log = logging.getLogger(__name__)


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
    pace: Pace
    timeout: float
    """Seconds for which a client may take to send a block."""
    verify: bool
    """Whether blobs are checked on their way out, too."""

    async def soon(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do something in a thread that takes a moment. Raises Refusal when it takes too long."""
        try:
            async with asyncio.timeout(ANSWERING):
                return await do(self.threads.short, work, *args, **kwargs)
        except TimeoutError:
            raise _no_answer(self.shelf) from None

    async def listed(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do something that takes longer the more names there are. Raises Refusal as `soon` does.

        That it is slow says nothing of the place, which others go on asking.
        """
        try:
            async with asyncio.timeout(LISTING):
                return await do(self.threads.long, work, *args, **kwargs)
        except TimeoutError:
            message = f"the names were not listed within {LISTING:g} seconds"
            raise later(503, "UNAVAILABLE", message) from None

    async def long(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do something that takes as long as a transfer in a thread."""
        return await do(self.threads.long, work, *args, **kwargs)

    async def look(self, work: Callable[[Shelf], _T]) -> _T:
        """Look for something in the store, and only if it is not there upstream."""
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
        """Give the threads for what `look` found."""
        return self.threads.far if shelf in self.shelf.upstream else self.threads.short

    def body(self) -> Body:
        """Give what the client sends."""
        return Body(self.request.receive, self.timeout)

    @property
    def size(self) -> int | None:
        """How many bytes the client says it sends."""
        text = self.request.headers.get("content-length", "")
        return number(text) if text.isdecimal() else None

    def digest(self, text: str) -> Digest:
        """Read a digest. Raises Refusal for what is none, or of an algorithm that is not used."""
        try:
            found = Digest.parse(text)
        except InvalidDigest as error:
            raise Refusal(400, "DIGEST_INVALID", str(error)) from error
        if found.algorithm != "sha256":
            raise Refusal(400, "DIGEST_INVALID", f"only sha256 is stored here, not {text}")
        return found


def _no_answer(shelf: Shelf) -> Refusal:
    """Leave a place alone for a while whose threads wait, so that not all of them do."""
    [source, *_] = shelf.sources
    source.leave(ANSWERING)
    message = f"{source.place.title} has not answered for {ANSWERING:g} seconds"
    _log.warning("%s", message)
    return later(503, "UNAVAILABLE", message)
