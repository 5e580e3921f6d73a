"""A proxy in front of any HTTP/1.1 server, which lets some of the requests fail."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle
from threading import Lock
from typing import TYPE_CHECKING, Self

from support.services.client import ask
from support.services.http_server import Server, serving
from support.services.messages import Reply, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from email.message import Message

    from support.services.http_server import Handler

# Of one connection alone, or written anew for each.
OWN = {"connection", "date", "expect", "keep-alive", "server", "transfer-encoding"}


@dataclass(frozen=True, kw_only=True)
class Failure:
    """How a request fails: `before` the server has it, or else after the server did it.

    - `status` (with `headers` and `body`): the client gets this reply.
    - none: the connection is reset; `before`, in the middle of the request's body if it is long.
    - `cut`: it is reset after so many bytes of the body of the server's reply.
    """

    before: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None


RESET_BEFORE, RESET_AFTER = Failure(before=True), Failure()
EVERY_KIND = (
    RESET_BEFORE,
    RESET_AFTER,
    Failure(before=True, status=500),
    Failure(status=500),
    Failure(before=True, status=503),
    Failure(status=503),
)


class FaultyProxy:
    """Forwards to `upstream` (scheme and host) in a `with` block.

    Every nth request for which `when` holds fails, with each of the failures in turn; with `every`
    at 0, none does. Both may be changed at any time. A request is forwarded as it came, with the
    proxy in its Host, as signatures want it. `failed` has what was to fail, and how.
    """

    def __init__(
        self,
        upstream: str,
        every: int = 0,
        failures: Sequence[Failure] = EVERY_KIND,
        when: Callable[[Request], bool] = lambda _: True,
    ) -> None:
        self.upstream = upstream
        self.every = every
        self.when = when
        self.failed: list[tuple[Request, Failure]] = []
        self._failures = cycle(failures)
        self._seen = 0
        self._lock = Lock()
        self._server = Server(self._respond)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(serving(self._server))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def host(self) -> str:
        return self._server.host

    def _respond(self, handler: Handler) -> None:
        request = Request(handler.command, handler.path, handler.headers)
        failure = self._due(request)
        if failure is None:
            handler.send(self._forward(request, handler.read()))
        elif failure.before and failure.status is None:
            handler.end(reset=True)
        else:
            self._fail(handler, request, failure)

    def _fail(self, handler: Handler, request: Request, failure: Failure) -> None:
        body = handler.read()
        genuine = None if failure.before else self._forward(request, body)
        if failure.status is not None:
            handler.send(Reply(failure.status, dict(failure.headers), failure.body))
            return
        if genuine and failure.cut is not None:
            handler.send(genuine, failure.cut)
        handler.end(reset=True)

    def _due(self, request: Request) -> Failure | None:
        """Count the request, and give how it is to fail."""
        with self._lock:
            if not self.every or not self.when(request):
                return None
            self._seen += 1
            if self._seen % self.every:
                return None
            failure = next(self._failures)
            self.failed.append((request, failure))
            return failure

    def _forward(self, request: Request, body: bytes) -> Reply:
        answer = ask(
            request.method, self.upstream + request.target, body or None, _kept(request.headers)
        )
        return Reply(answer.status, _kept(answer.headers), answer.body)


def _kept(headers: Message) -> dict[str, str]:
    """Give the headers that are to be forwarded; those of one name as one, which is the same."""
    return {
        name: ", ".join(headers.get_all(name, [])) for name in headers if name.lower() not in OWN
    }
