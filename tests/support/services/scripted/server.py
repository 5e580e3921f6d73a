"""The registry on HTTP's wire, with the faults of the script."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Self

from support.services.http_server import Server, serving
from support.services.messages import Refusal, Request
from support.services.scripted.api import Distribution
from support.services.scripted.faults import Fault, Rule, Script
from support.services.scripted.store import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.services.http_server import Handler
    from support.services.messages import Reply
    from support.services.scripted.store import Store
    from support.services.tls import Certificate


class ScriptedRegistry:
    """A registry to run in a `with` block; `requests` has all it was asked, in order."""

    def __init__(self, certificate: Certificate | None = None) -> None:
        self.distribution = Distribution()
        self.requests: list[Request] = []
        self._script = Script()
        self._lock = Lock()
        self._server = Server(self._respond, certificate)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(serving(self._server))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def host(self) -> str:
        return self._server.host

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def store(self) -> Store:
        return self.distribution.store

    def on(
        self,
        method: str,
        path: str,
        fault: Fault,
        *,
        nth: int = 1,
        times: int | None = 1,
        when: Callable[[Request], bool] = lambda _: True,
    ) -> Rule:
        """Play a fault from the nth request on, so many times (None: always).

        Counted are the requests with this method (`*`: any) whose path the regular expression is
        found in, if `when` holds for them, which sees no body.
        """
        return self._script.add(Rule(method, re.compile(path), fault, nth, times, when))

    def refuse(self, media_type: str, status: int = 400, code: str = "MANIFEST_INVALID") -> None:
        """Refuse manifests of this type, or with a config of this type."""
        self.distribution.refused[media_type] = Refusal(status, code, media_type)

    def asked(self, method: str = "*", path: str = "") -> list[Request]:
        """Give the requests with this method whose path the regular expression is found in."""
        rule = Rule(method, re.compile(path), Fault(), 1, None, lambda _: True)
        return [request for request in self.requests if rule.matches(request)]

    def add_blob(self, repo: str, data: bytes) -> str:
        """Put a blob there without a request, and give its digest."""
        digest = digest_of(data)
        self.store.repositories[repo].blobs[digest] = data
        return digest

    def _respond(self, handler: Handler) -> None:
        request = Request(handler.command, handler.path, handler.headers)
        fault = self._script.take(request)
        request = replace(request, body=handler.read(fault.read))
        self.requests.append(request)
        if fault.read is None or fault.kept:
            reply = fault.reply(lambda: self._answer(request))
        if fault.read is None and not fault.silent:
            handler.send(reply, fault.cut)
        if fault.ends:
            handler.end(fault.reset)

    def _answer(self, request: Request) -> Reply:
        with self._lock:
            return self.distribution.answer(request)
