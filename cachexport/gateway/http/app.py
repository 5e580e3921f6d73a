"""The gateway as an ASGI application."""

from __future__ import annotations

import logging
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from cachexport.contract.backend import VIA
from cachexport.gateway.http import blobs, manifests, uploads
from cachexport.gateway.http.blobs import Pace
from cachexport.gateway.http.record import Record
from cachexport.gateway.http.refusal import Refusal, refusal
from cachexport.gateway.http.request import Call, target
from cachexport.gateway.http.threads import Threads, threads

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from cachexport.gateway.http.access import Access
    from cachexport.gateway.http.record import Metrics
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
    """Answers requests. `on_request` hears of each when it is over."""

    find: Callable[[str], Publishing]
    """Gives what a repository is in. Raises Refusal."""
    access: Access
    uploads: Uploads
    metrics: Metrics
    on_request: Callable[[Record], None]
    timeout: float
    verify: bool = False
    pace: Pace = field(default_factory=Pace)
    threads: Threads = field(default_factory=threads)
    pseudonym: str = field(default_factory=lambda: f"cachexport-{secrets.token_hex(8)}")
    """What it calls itself to the registries that it reads from."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        record = _record(request)
        watched = _Watched(send, record)
        began = time.monotonic()
        try:
            await self._answer(request, record, watched)
        finally:
            record.seconds = time.monotonic() - began
            self.metrics.tell(record)
            self.on_request(record)

    async def _answer(self, request: Request, record: Record, watched: _Watched) -> None:
        try:
            answer = await self._prepare(request, record)
            await answer(request.scope, request.receive, watched)
        except Exception as error:
            refused = refusal(error)
            record.error = refused.message
            if refused.status == _OURS:
                what = "a bug, please report it: %s %s: %s"
                _log.exception(what, record.method, record.path, refused.message)
            if watched.has_begun:
                raise  # the connection breaks, which is all that can still be said
            await _refusing(refused)(request.scope, request.receive, watched)

    async def _prepare(self, request: Request, record: Record) -> ASGIApp:
        if record.path == "/healthz":
            _check_method(record.method, _READING)
            return self._health()
        if record.path == "/metrics":
            _check_method(record.method, _READING)
            return Response(self.metrics.text(), media_type=self.metrics.media_type)
        if "origin" in request.headers and record.method not in _READING:
            # No build tool is a page in a browser, which may be anybody's.
            raise Refusal(403, "DENIED", "nothing is taken from pages in a browser")
        visitor = self.access.visitor(request.headers.get("authorization", ""))
        found = target(record.path)
        record.kind, record.repository, record.item = found.kind, found.repository, found.item
        if found.kind == "base":
            _check_method(record.method, _READING)
            return Response("{}", media_type="application/json")
        _check_method(record.method, [method for kind, method in _ANSWERS if kind == found.kind])
        publishing = self.find(found.repository)
        call = Call(
            request=request,
            target=found,
            shelf=self._shelf(publishing.shelf, request.headers.get("via", "")),
            publishing=publishing,
            visitor=visitor,
            uploads=self.uploads,
            threads=self.threads,
            record=record,
            pace=self.pace,
            timeout=self.timeout,
            verify=self.verify,
        )
        prepared: ASGIApp = await _ANSWERS[found.kind, record.method](call)
        return prepared

    def _health(self) -> Response:
        if self.uploads.is_draining:
            return Response("stopping\n", status_code=503, media_type="text/plain")
        return Response("ok\n", media_type="text/plain")

    def _shelf(self, shelf: Shelf, via: str) -> Shelf:
        """Give what to look in: without upstream if the question comes from here through that."""
        if self.pseudonym not in via:
            # Of gateways alone, for a client may send anything.
            ours = [*_PSEUDONYM.findall(via)[:_HOPS], self.pseudonym]
            VIA.set(", ".join(f"1.1 {each}" for each in ours))
            return shelf
        if not shelf.upstream:
            raise Refusal(508, "UNSUPPORTED", "this gateway asks itself; look at its --store")
        return shelf.alone


@dataclass(slots=True)
class _Watched:
    """Sends an answer on, counting what goes."""

    send: Send
    record: Record
    has_begun: bool = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            self.record.status = message["status"]
            version = (b"docker-distribution-api-version", b"registry/2.0")
            message = {**message, "headers": [*message["headers"], version]}
        elif self.record.method != "HEAD":
            self.record.sent += len(message.get("body", b""))
        await self.send(message)


def _check_method(method: str, allowed: Sequence[str]) -> None:
    if method not in allowed:
        headers = {"Allow": ", ".join(allowed)}
        raise Refusal(405, "UNSUPPORTED", f"{method} does nothing here", headers)


def _record(request: Request) -> Record:
    client = request.client
    return Record(
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
