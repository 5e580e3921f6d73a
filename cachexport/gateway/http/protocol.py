"""HTTP as uvicorn reads it, with timeouts for clients that neither send nor receive."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cachexport.gateway.http.exchange import stranger

if TYPE_CHECKING:
    from asyncio import Transport
    from collections.abc import Callable
    from typing import Any

    from cachexport.gateway.http.app import Gateway

ASKING = 30.0
"""Seconds for which a connection may be open before it has sent the head of a request."""
TAKING = 60.0
"""Seconds that a client may take to receive some 500 KB of the answer, or the rest of it."""
_OVERHEAD = 64 << 10
"""Bytes of a head, or of anything else but a body; real clients send a tenth of it at most."""
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"connection: close\r\ncontent-length: 0\r\n\r\n"
)
_UNSENT = 512 << 10
"""Unsent bytes that the kernel may hold. By default it holds MiBs, which hide a client's pace."""


class Protocol(HttpToolsProtocol):
    """Closes a connection whose next request does not come, or comes letter by letter.

    Aborts one whose client does not receive the answer: closing would wait for that forever. Only a
    body may be endless; heads and trailers have a limit.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._asking = _Timer()
        self._taking = _Timer()
        self._begin = b""
        self._in_head = True
        self._overhead = 0
        """Bytes since the last byte of a body: of a head, of trailers, between requests."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        bound = transport.get_extra_info("socket")
        # asyncio sets it for some kinds of sockets only; without it small answers take 40 ms.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
        self._asking.start(ASKING, self._close)

    def data_received(self, data: bytes) -> None:
        """Keep the first byte, which shows TLS, and count all bytes that are no body."""
        self._begin = self._begin or data[:1]
        self._overhead += len(data)
        if not self._is_busy and not self._asking.is_running:
            self._asking.start(ASKING, self._close)
        super().data_received(data)
        if self._overhead > _OVERHEAD and not self.transport.is_closing():
            if not self._is_busy:
                self.transport.write(_TOO_LARGE)
            self._close()

    def send_400_response(self, msg: str) -> None:
        """Report bytes that are no HTTP like a request."""
        gateway: Gateway = self.config.app  # type: ignore[assignment]
        gateway.on_request(stranger(self.client, self._begin))
        super().send_400_response(msg)

    def on_message_begin(self) -> None:
        """Start the timeout of the head, unless the request before is still being answered."""
        self._in_head = True
        super().on_message_begin()
        if not self._is_busy:
            self._asking.start(ASKING, self._close)

    def on_headers_complete(self) -> None:
        """Stop the timeout of the head."""
        self._in_head, self._overhead = False, 0
        self._asking.stop()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Reset the count: these bytes are a body."""
        self._overhead = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Reset the count, and stop waiting for the body of a request that was already answered."""
        self._overhead = 0
        if not self._is_busy:
            self._asking.stop()
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Start the timeout for the client to receive."""
        super().pause_writing()
        self._taking.start(TAKING, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop that timeout, unless the connection is closing."""
        self._taking.stop()
        super().resume_writing()
        self._limit_closing()

    def on_response_complete(self) -> None:
        """Start the timeouts: for receiving the end, and for a request that was already begun."""
        has_more = self.cycle.more_body
        super().on_response_complete()
        self._limit_closing()
        if has_more or (self._in_head and self._overhead and not self._is_busy):
            self._asking.start(ASKING, self._close)

    def shutdown(self) -> None:
        """Close when the request under way is answered."""
        super().shutdown()
        self._limit_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timeouts."""
        self._asking.stop()
        self._taking.stop()
        super().connection_lost(exc)

    @property
    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _close(self) -> None:
        self.transport.close()
        self._limit_closing()

    def _limit_closing(self) -> None:
        if self.transport.is_closing():
            self._taking.start(TAKING, self.transport.abort)


class _Timer:
    """Calls a function after a while, unless it is stopped; `start` starts it over."""

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None

    def start(self, seconds: float, then: Callable[[], None]) -> None:
        self.stop()
        self._handle = asyncio.get_running_loop().call_later(seconds, then)

    @property
    def is_running(self) -> bool:
        return self._handle is not None

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
