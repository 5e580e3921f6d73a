"""HTTP as uvicorn reads it, with timeouts for clients that neither speak nor listen."""

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
"""Seconds for which a connection may be open before a request's head has come."""
TAKING = 60.0
"""Seconds that a client may take for some 500 KB of what it is sent, or for the rest of it."""
_OVERHEAD = 64 << 10
"""Bytes of a request's head, or of anything that is no body; clients send a tenth of it at most."""
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"connection: close\r\ncontent-length: 0\r\n\r\n"
)
_UNSENT = 512 << 10
"""Bytes that the kernel holds to be sent; MiBs of its own choice hide that a client reads."""


class Protocol(HttpToolsProtocol):
    """Closes a connection whose next request does not come, or comes letter by letter.

    Breaks one whose client does not take the answer: closing waits for it, without an end. Nothing
    without an end gets in but a body.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._asking = _Timer()
        self._taking = _Timer()
        self._begin = b""
        self._in_head = True
        self._overhead = 0
        """Bytes since the last of a body: of a head, of trailers, between requests."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        bound = transport.get_extra_info("socket")
        # asyncio does so for sockets of a certain kind; without it small answers take 40 ms.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
        self._asking.start(ASKING, self._close)

    def data_received(self, data: bytes) -> None:
        """Keep the first byte, which tells of TLS, and count what is no body."""
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
        """Tell of what is no HTTP as of a request."""
        gateway: Gateway = self.config.app  # type: ignore[assignment]
        gateway.on_request(stranger(self.client, self._begin))
        super().send_400_response(msg)

    def on_message_begin(self) -> None:
        """Wait for the rest of a request's head, unless the one before is still answered."""
        self._in_head = True
        super().on_message_begin()
        if not self._is_busy:
            self._asking.start(ASKING, self._close)

    def on_headers_complete(self) -> None:
        """Wait for a request no longer."""
        self._in_head, self._overhead = False, 0
        self._asking.stop()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count anew."""
        self._overhead = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Count anew, and wait for the rest of what was answered already no longer."""
        self._overhead = 0
        if not self._is_busy:
            self._asking.stop()
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Wait for the client to take what it is sent."""
        super().pause_writing()
        self._taking.start(TAKING, self.transport.abort)

    def resume_writing(self) -> None:
        """Wait for the client no longer, unless all is said."""
        self._taking.stop()
        super().resume_writing()
        self._limit_closing()

    def on_response_complete(self) -> None:
        """Wait for the client to take the end, and for what it has begun to send."""
        has_more = self.cycle.more_body
        super().on_response_complete()
        self._limit_closing()
        if has_more or (self._in_head and self._overhead and not self._is_busy):
            self._asking.start(ASKING, self._close)

    def shutdown(self) -> None:
        """Close when what is under way is over."""
        super().shutdown()
        self._limit_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing."""
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
    """Calls something after a while, unless it is stopped; starting it again begins anew."""

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
