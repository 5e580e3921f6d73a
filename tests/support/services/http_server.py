"""What our own HTTP servers share: they run in threads of the test's process."""

from __future__ import annotations

import socket
import ssl
import struct
import sys
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.services.messages import Reply
    from support.services.tls import Certificate

_NO_TIME = struct.pack("ii", 1, 0)  # to linger: what is unsent is dropped, and a reset sent


class Server(ThreadingHTTPServer):
    """A server on a free port; one that `serving` serves."""

    request_queue_size = 128

    def __init__(
        self, respond: Callable[[Handler], None], certificate: Certificate | None = None
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.respond = respond
        self.scheme = "https" if certificate else "http"
        self.problems: list[Exception] = []
        self._connections: set[socket.socket] = set()
        if certificate:
            self.socket = _encrypted(self.socket, certificate)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection; one that lingers for no time is reset, without a word before."""
        self._connections.discard(request)
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER):
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep a defect of the server itself; that a client goes away is none."""
        problem = sys.exception()
        if isinstance(problem, Exception) and not isinstance(problem, OSError):
            self.problems.append(problem)

    def hang_up(self) -> None:
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """One connection, of which every request is given to the server's `respond`."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def read(self, limit: int | None = None) -> bytes:
        """Read the body of the request, or no more than `limit` bytes of what is sent."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(self._chunks()) if limit is None else self._whole(limit)
        length = int(self.headers.get("Content-Length", 0))
        return self._whole(length if limit is None else min(limit, length))

    def send(self, reply: Reply, cut: int | None = None) -> None:
        """Send a reply, or the first `cut` bytes of its body."""
        self.send_response(reply.status)
        size = {"Content-Length": str(len(reply.body))}
        for name, value in (size | reply.headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and reply.status != 204:
            self.wfile.write(reply.body[:cut])

    def end(self, reset: bool) -> None:
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_TIME)

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield self._whole(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def _whole(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionResetError(f"the client sent {len(data)} of {size} bytes")
        return data


for _method in ("CONNECT", "DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"):
    setattr(Handler, f"do_{_method}", lambda handler: handler.server.respond(handler))


@contextmanager
def serving(server: Server) -> Iterator[None]:
    """Serve until the end of the block, and fail there if the server had a defect."""
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        server.hang_up()
    if server.problems:
        raise ExceptionGroup("defects of a test server", server.problems)


def _encrypted(listening: socket.socket, certificate: Certificate) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    return context.wrap_socket(listening, server_side=True, do_handshake_on_connect=False)
