"""A wire to a server that breaks when a test wants it to."""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Lock, Thread
from typing import Self

_BLOCK = 1 << 16


class Relay:
    """Passes connections on to `target`, a host with a port; to run in a `with` block.

    `cuts` are consumed in order: the next connection over which a client sent so many bytes is
    broken then, both ways. `sent` counts all bytes that clients sent.
    """

    def __init__(self, target: str, cuts: list[int]) -> None:
        name, _, port = target.partition(":")
        self.target = (name, int(port))
        self.cuts = cuts
        self.sent = 0
        self._lock = Lock()
        self._server = _Server(self)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        thread = Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        self._stack.callback(self._server.server_close)
        self._stack.callback(thread.join)
        self._stack.callback(self._server.shutdown)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def cut(self, passed: int, more: int) -> bool:
        """Count bytes of a connection, and say whether that many are too many for it."""
        with self._lock:
            self.sent += more
            if self.cuts and passed + more > self.cuts[0]:
                del self.cuts[0]
                return True
        return False


class _Server(ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, relay: Relay) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.relay = relay


class _Handler(BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        with socket.create_connection(self.server.relay.target) as there:
            back = Thread(target=_answers, args=(there, self.request), daemon=True)
            back.start()
            self._send(there)
            for side in (there, self.request):
                with suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)
            back.join()

    def _send(self, there: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while data := self.request.recv(_BLOCK):
                if self.server.relay.cut(passed, len(data)):
                    return
                passed += len(data)
                there.sendall(data)


def _answers(there: socket.socket, here: socket.socket) -> None:
    with suppress(OSError):
        while data := there.recv(_BLOCK):
            here.sendall(data)
    with suppress(OSError):
        here.shutdown(socket.SHUT_WR)
