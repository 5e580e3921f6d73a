"""A gateway over a directory, in a thread of the test's process."""

from __future__ import annotations

import http.client
import threading
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from cachexport.gateway.composing import Limits, open_gateway, open_shelf
from cachexport.gateway.http.access import Access
from cachexport.gateway.http.server import Server, address, bind
from cachexport.gateway.publishing import Publishing
from cachexport.gateway.shelf.names import read_forms
from cachexport.model.envelope.manifest import (
    IMPORT_LIMIT,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from cachexport.gateway.http.exchange import Exchange
    from cachexport.gateway.shelf.shelf import Shelf


@dataclass(frozen=True)
class Answered:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        import json

        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of the first error."""
        return str(self.json["errors"][0]["code"])


@dataclass(frozen=True)
class Gateway:
    host: str
    shelf: Shelf
    stop: Callable[[], None]
    drain: Callable[[], None]
    """Do what a signal does."""
    thread: threading.Thread
    told: list[Exchange] = field(default_factory=list)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answered:
        """Send a request whose path goes as it is; a `_` in a header's name stands for `-`."""
        with closing(http.client.HTTPConnection(self.host, timeout=60)) as connection:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return Answered(answer.status, answer.headers, answer.read())  # type: ignore[arg-type]

    def put_blob(self, repository: str, raw: bytes) -> str:
        from cachexport import Digest

        digest = Digest.of(raw)
        place = f"/v2/{repository}/blobs/uploads/?digest={digest}"
        assert self.ask("POST", place, raw).status == 201
        return digest


Starting = "Callable[..., Gateway]"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Give what starts a gateway over `tmp_path/store`, or over another place."""
    with ExitStack() as stack:

        def started(
            store: str = f"type=local,dest={tmp_path / 'store'}",
            *,
            access: Access | None = None,
            forms: tuple[str, ...] = (),
            upstream: tuple[str, ...] = (),
            merge: bool = False,
            port: int = 0,
            verify: bool = False,
            config: int = IMPORT_LIMIT,
            **limits: Any,
        ) -> Gateway:
            given = Limits(spool=tmp_path / "spool", **limits)
            opened = open_shelf(store, upstream, merge=merge, forms=read_forms(forms))
            shelf = stack.enter_context(closing(opened))
            publishing = Publishing(shelf=shelf, limit=config)
            told: list[Exchange] = []
            app = open_gateway(
                lambda repository: publishing,
                access=access or Access(),
                limits=given,
                on_request=told.append,
                verify=verify,
            )
            return _running(stack, app, shelf, told, port)

        yield started


def _running(stack: ExitStack, app: Any, shelf: Shelf, told: list[Exchange], port: int) -> Gateway:
    bound = bind(f"127.0.0.1:{port}")
    host, server, ready = address(bound), Server(app, bound), threading.Event()
    thread = threading.Thread(target=server.run, args=(ready.set,))
    thread.start()

    def stop() -> None:
        server.stop()
        thread.join(20)

    stack.callback(stop)
    assert ready.wait(10)
    return Gateway(host, shelf, stop, server.drain, thread, told)


@pytest.fixture
def gateway(start: Callable[..., Gateway]) -> Gateway:
    return start()
