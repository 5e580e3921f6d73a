"""The gateway as an ASGI application."""

from __future__ import annotations

import logging
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from cachexport.content.clock import Clock, clock
from cachexport.contract.backend import VIA
from cachexport.gateway.http import blobs, manifests, uploads
from cachexport.gateway.http.blobs import Pace
from cachexport.gateway.http.exchange import Exchange
from cachexport.gateway.http.refusal import Refusal, refusal
from cachexport.gateway.http.request import Call, read_route
from cachexport.gateway.http.threads import Threads, threads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from cachexport.gateway.http.access import Access
    from cachexport.gateway.http.exchange import Metrics
    from cachexport.gateway.publishing import Publishing
    from cachexport.gateway.shelf.shelf import Shelf
    from cachexport.gateway.uploads import Uploads

_log = logging.getLogger(__name__)
_OURS = 500
_PSEUDONYM = re.compile(r"\bcachexport-[0-9a-f]{16}\b")
_HOPS = 20
_READING = ("GET", "HEAD")
_ANSWERS: dict[tuple[str, str], Callable[[Call], Awaitable[Any]]] = {
    ("blobs", "GET"): blobs.get,
    ("blobs", "HEAD"): blobs.get,
    ("blobs", "DELETE"): blobs.delete,
    ("uploads", "POST"): uploads.begin,
    ("uploads", "PATCH"): uploads.append,
    ("uploads", "PUT"): uploads.finish,
    ("uploads", "GET"): uploads.status,
    ("uploads", "DELETE"): uploads.cancel,
    ("manifests", "GET"): manifests.get,
    ("manifests", "HEAD"): manifests.get,
    ("manifests", "PUT"): manifests.put,
    ("manifests", "DELETE"): manifests.delete,
    ("tags", "GET"): manifests.tags,
}


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """Answers requests. `on_request` is called with each exchange when it is over."""

    find: Callable[[str], Publishing]
    """Gives the publishing of a repository. Raises Refusal."""
    access: Access
    uploads: Uploads
    metrics: Metrics
    on_request: Callable[[Exchange], None]
    timeout: float
    """Seconds that a client may take to send a block."""
    verify: bool = False
    pace: Pace = field(default_factory=Pace)
    threads: Threads = field(default_factory=threads)
    clock: Clock = field(default_factory=clock)
    """That of the context it is made in: requests are answered in contexts of the server's."""
    pseudonym: str = field(default_factory=lambda: f"cachexport-{secrets.token_hex(8)}")
    """Its name in the Via header that it sends to the registries it reads."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        exchange = _record(request)
        watched = _Watched(send, exchange)
        began = self.clock.monotonic()
        try:
            await self._answer(request, exchange, watched)
        finally:
            exchange.seconds = self.clock.monotonic() - began
            self.metrics.count(exchange)
            self.on_request(exchange)

    async def _answer(self, request: Request, exchange: Exchange, watched: _Watched) -> None:
        try:
            answer = await self._prepare(request, exchange)
            await answer(request.scope, request.receive, watched)
        except Exception as error:
            refused = refusal(error)
            exchange.error = refused.message
            if refused.status == _OURS:
                what = "a bug, please report it: %s %s: %s"
                _log.exception(what, exchange.method, exchange.path, refused.message)
            if watched.has_begun:
                raise  # the answer has begun: all that is left is to break the connection
            await _refusing(refused)(request.scope, request.receive, watched)

    async def _prepare(self, request: Request, exchange: Exchange) -> ASGIApp:
        if exchange.path == "/healthz":
            _check_method(exchange.method, _READING)
            return self._health()
        if exchange.path == "/metrics":
            _check_method(exchange.method, _READING)
            return Response(self.metrics.text(), media_type=self.metrics.media_type)
        if "origin" in request.headers and exchange.method not in _READING:
            # Any page in a browser could send this; build tools send no Origin.
            raise Refusal(403, "DENIED", "nothing is taken from pages in a browser")
        visitor = self.access.visitor(request.headers.get("authorization", ""))
        found = read_route(exchange.path)
        exchange.kind, exchange.repository, exchange.item = found.kind, found.repository, found.item
        if found.kind == "base":
            _check_method(exchange.method, _READING)
            return Response("{}", media_type="application/json")
        _check_method(exchange.method, [method for kind, method in _ANSWERS if kind == found.kind])
        publishing = self.find(found.repository)
        call = Call(
            request=request,
            route=found,
            shelf=self._shelf(publishing.shelf, request.headers.get("via", "")),
            publishing=publishing,
            visitor=visitor,
            uploads=self.uploads,
            threads=self.threads,
            exchange=exchange,
            pace=self.pace,
            timeout=self.timeout,
            verify=self.verify,
        )
        prepared: ASGIApp = await _ANSWERS[found.kind, exchange.method](call)
        return prepared

    def _health(self) -> Response:
        if self.uploads.is_draining:
            return Response("stopping\n", status_code=503, media_type="text/plain")
        return Response("ok\n", media_type="text/plain")

    def _shelf(self, shelf: Shelf, via: str) -> Shelf:
        """Give the shelf to read: without its upstream when this request came back through that."""
        if self.pseudonym not in via:
            # Names of gateways only: a client may send anything in this header.
            ours = [*_PSEUDONYM.findall(via)[:_HOPS], self.pseudonym]
            VIA.set(", ".join(f"1.1 {each}" for each in ours))
            return shelf
        if not shelf.upstream:
            raise Refusal(508, "UNSUPPORTED", "this gateway asks itself; look at its --store")
        return shelf.alone


@dataclass(slots=True)
class _Watched:
    """Passes an answer on, and counts its bytes."""

    send: Send
    exchange: Exchange
    has_begun: bool = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            self.exchange.status = message["status"]
            version = (b"docker-distribution-api-version", b"registry/2.0")
            message = {**message, "headers": [*message["headers"], version]}
        elif self.exchange.method != "HEAD":
            self.exchange.sent += len(message.get("body", b""))
        await self.send(message)


def _check_method(method: str, allowed: Sequence[str]) -> None:
    if method not in allowed:
        headers = {"Allow": ", ".join(allowed)}
        raise Refusal(405, "UNSUPPORTED", f"{method} does nothing here", headers)


def _record(request: Request) -> Exchange:
    client = request.client
    return Exchange(
        method=request.method,
        path=request.scope.get("raw_path", b"").decode("latin-1"),
        client=client.host if client else "",
        agent=request.headers.get("user-agent", ""),
    )


def _refusing(refused: Refusal) -> Response:
    return Response(
        refused.body(),
        status_code=refused.status,
        headers=dict(refused.headers),
        media_type="application/json",
    )
