"""A forwarding proxy, which alone knows where the names that a test uses lead."""

from __future__ import annotations

import select
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from support.services.client import ask
from support.services.http_server import Server, serving
from support.services.messages import Reply, Request

if TYPE_CHECKING:
    from support.services.http_server import Handler

_OURS = {"proxy-authorization", "proxy-connection", "connection"}
_BLOCK = 1 << 16


class ForwardingProxy:
    """A proxy to run in a `with` block; `requests` has all it was asked, in order.

    `hosts` tells where each host, with its port, really is. With an `authorization` only who
    sends that to it may use it.
    """

    def __init__(self, hosts: dict[str, str], authorization: str | None = None) -> None:
        self.requests: list[Request] = []
        self._hosts = hosts
        self._authorization = authorization
        self._server = Server(self._respond)
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

    def asked(self, method: str) -> list[Request]:
        return [request for request in self.requests if request.method == method]

    def _respond(self, handler: Handler) -> None:
        request = Request(handler.command, handler.path, handler.headers, handler.read())
        self.requests.append(request)
        sent = request.headers.get("Proxy-Authorization")
        if self._authorization is not None and sent != self._authorization:
            handler.send(Reply(407, {"Proxy-Authenticate": 'Basic realm="proxy"'}))
        elif request.method == "CONNECT":
            self._tunnel(handler)
        else:
            handler.send(self._forward(request))

    def _forward(self, request: Request) -> Reply:
        """Ask for an absolute URL, and give back the answer without what concerns this hop."""
        url = urlsplit(request.target)
        if url.netloc not in self._hosts:
            return Reply(502)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _OURS}
        target = f"http://{self._hosts[url.netloc]}{url.path}?{url.query}"
        answer = ask(request.method, target, request.body or None, headers)
        return Reply(answer.status, dict(answer.headers), answer.body)

    def _tunnel(self, handler: Handler) -> None:
        """Pass on bytes both ways until either side has no more."""
        if handler.path not in self._hosts:
            handler.send(Reply(502))
            return
        name, _, port = self._hosts[handler.path].partition(":")
        with socket.create_connection((name, int(port))) as there:
            handler.send_response(200)
            handler.end_headers()
            handler.close_connection = True
            _pass_on(handler.connection, there)


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    peers = {one: other, other: one}
    while True:
        for side in select.select([one, other], [], [])[0]:
            data = side.recv(_BLOCK)
            if not data:
                return
            peers[side].sendall(data)
