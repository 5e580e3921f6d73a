"""Serving a gateway on a socket until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import uvicorn

from cachexport.errors import BackendError, InvalidInputError
from cachexport.gateway.http.protocol import Protocol
from cachexport.gateway.http.request import number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cachexport.gateway.http.app import Gateway
    from cachexport.gateway.http.certificate import Tls
    from cachexport.gateway.uploads import Uploads

_EXPIRING = 5.0
"""Seconds between two searches for expired uploads."""
_log = logging.getLogger(__name__)
_RESTING = 10.0
"""Seconds that an upload may wait while the gateway drains; clients need milliseconds."""
_BACKLOG = 256
_LAST_PORT = 65_535


def bind(listen: str) -> socket.socket:
    """Listen at `host:port`; the port 0 is any that is free. The caller closes the socket.

    Raises InvalidInputError for text that is no address, BackendError where one cannot listen.
    """
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or number(port) > _LAST_PORT:
        raise InvalidInputError(f"not host:port to listen at: {listen!r}")
    host = host.strip("[]")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, int(port)), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise BackendError(f"cannot listen at {listen}: {error}", op="listen") from error


def address(bound: socket.socket) -> str:
    """Give `host:port` of a socket."""
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Draining(uvicorn.Server):
    """Stops only after the uploads that are under way."""

    def __init__(self, config: uvicorn.Config, uploads: Uploads) -> None:
        super().__init__(config)
        self._uploads = uploads

    async def on_tick(self, counter: int) -> bool:
        """Say whether to close all connections now; uvicorn asks every 0.1 s."""
        if not await super().on_tick(counter):
            return False
        if not self._uploads.is_draining:
            self._uploads.drain(_RESTING)
        self._uploads.expire()
        return self.force_exit or not len(self._uploads)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the command: uvicorn would raise them again after it stopped."""
        yield


class Server:
    """Serves a gateway on a socket that is bound."""

    def __init__(self, gateway: Gateway, bound: socket.socket, tls: Tls | None = None) -> None:
        self._gateway = gateway
        self._bound = bound
        config = uvicorn.Config(
            gateway,
            http=Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=75,
            ssl_certfile=str(tls.certificate) if tls else None,
            ssl_keyfile=str(tls.key) if tls and tls.key else None,
        )
        self._server = _Draining(config, gateway.uploads)

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop` or `drain`.

        `ready` is called when requests are answered.
        """
        with closing(self._bound):
            asyncio.run(self._serve(ready))

    def drain(self) -> None:
        """Refuse new uploads, and let `run` return when those under way are over.

        A signal's handler may call it.
        """
        self._server.should_exit = True

    def stop(self) -> None:
        """Let `run` return when requests under way are answered; uploads between two are lost."""
        self._gateway.uploads.drain(0.0)
        self.drain()

    def break_off(self) -> None:
        """Let `run` return at once; requests under way get no answer."""
        self._server.force_exit = True

    async def _serve(self, ready: Callable[[], None]) -> None:
        beside = [asyncio.create_task(self._expire()), asyncio.create_task(self._announce(ready))]
        try:
            await self._server.serve(sockets=[self._bound])
        finally:
            for task in beside:
                task.cancel()
            self._gateway.uploads.close()
            self._gateway.threads.shutdown()

    async def _announce(self, ready: Callable[[], None]) -> None:
        while not self._server.started:
            await asyncio.sleep(0.005)
        ready()

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(_EXPIRING)
            try:
                await asyncio.to_thread(self._gateway.uploads.expire)
            except Exception:
                _log.exception("uploads that rest for too long are still there")
