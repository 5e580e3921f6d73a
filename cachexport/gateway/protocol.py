"""HTTP as uvicorn reads it, without patience for clients that never say what they want."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from asyncio import Transport
    from typing import Any

PATIENCE = 30.0
"""Seconds for which a connection may be open before a request's head has come."""


class Protocol(HttpToolsProtocol):
    """Closes a connection whose first request does not come, or comes letter by letter."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait(transport)

    def on_message_begin(self) -> None:
        """Wait for the rest of a request's head."""
        super().on_message_begin()
        self._wait(self.transport)

    def on_headers_complete(self) -> None:
        """Wait no longer."""
        self._stop()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop()
        super().connection_lost(exc)

    def _wait(self, transport: Transport) -> None:
        self._stop()
        self._waiting = asyncio.get_running_loop().call_later(PATIENCE, transport.close)

    def _stop(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
