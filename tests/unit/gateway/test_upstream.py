"""What a gateway reads from other places when its store lacks it."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import caches

from cachexport import Digest, copy_cache, load_cache
from cachexport.content.clock import Clock, using_clock
from cachexport.errors import BackendError, NotFound, RegistryError, WireFormat
from cachexport.gateway.shelf.origins import Origin
from cachexport.gateway.shelf.shelf import Shelf
from cachexport.testing.services import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unit.gateway.conftest import Gateway

MAX = f"type=local,src={caches.FOLDER / 'max'}"


def test_what_the_store_lacks_is_read_upstream(
    start: Callable[..., Gateway], tmp_path: Path
) -> None:
    for name, origin in (("first", "max"), ("second", "multi-amd64")):
        copy_cache(
            [f"type=local,src={caches.FOLDER / origin}"],
            [f"type=local,dest={tmp_path / name},tag=team/app/main"],
        )
    copy_cache([MAX], [f"type=local,dest={tmp_path / 'second'},tag=team/app/only"])
    upstream = ("nowhere", "first", "second")
    gateway = start(upstream=tuple(f"type=local,src={tmp_path / name}" for name in upstream))
    for tag in ("main", "only"):
        [cache] = load_cache(f"type=registry,ref={gateway.host}/team/app:{tag}")
        assert cache.config == load_cache(MAX)[0].config
    for layer in {layer.digest for layer in cache.layers}:
        assert gateway.ask("GET", f"/v2/team/app/blobs/{layer}").status == 200
    # Nothing is sent that upstream has, and yet all of what is named is in the store.
    raw = caches.raw_manifest("max")
    assert gateway.ask("PUT", "/v2/team/app/manifests/own", raw).status == 201
    [own] = load_cache(f"type=local,src={tmp_path / 'store'},tag=team/app/own")
    gone = Path(tmp_path / "store" / "blobs" / "sha256")
    assert {layer.digest.encoded for layer in own.layers} <= {each.name for each in gone.iterdir()}


def ask_at_once(gateway: Gateway, paths: list[str]) -> set[int]:
    with ThreadPoolExecutor(len(paths)) as pool:
        return set(pool.map(lambda path: gateway.ask("GET", path).status, paths))


def test_one_that_is_its_own_upstream_lacks_what_it_lacks(start: Callable[..., Gateway]) -> None:
    port = free_port()
    upstream = f"type=registry,ref=127.0.0.1:{port}/cache"
    gateway = start(upstream=(upstream,), port=port)
    missing = [f"/v2/cache/manifests/lost{number}" for number in range(100)]
    missing += [f"/v2/cache/blobs/sha256:{number:064x}" for number in range(100)]
    assert ask_at_once(gateway, missing) == {404}


def test_a_store_that_is_away_may_be_asked_again(start: Callable[..., Gateway]) -> None:
    login = "access_key_id=a,secret_access_key=b,region=us-east-1,retry_max_attempts=1"
    gateway = start(f"type=s3,endpoint_url=http://127.0.0.1:{free_port()},bucket=b,{login}")
    answer = gateway.ask("GET", "/v2/cache/manifests/main")
    assert (answer.status, "Retry-After" in answer.headers) == (503, True)


def test_a_store_that_is_the_gateway_itself(start: Callable[..., Gateway]) -> None:
    port = free_port()
    gateway = start(f"type=registry,ref=127.0.0.1:{port}/cache,retries=1", port=port)
    assert gateway.ask("GET", "/v2/cache/manifests/main").status == 502
    assert any(told.status == 508 and "asks itself" in told.error for told in gateway.told)


def test_two_that_are_each_others_upstream(start: Callable[..., Gateway], tmp_path: Path) -> None:
    ports = free_port(), free_port()
    both = []
    for number, port in enumerate(ports):
        there = f"type=registry,ref=127.0.0.1:{ports[1 - number]}/cache"
        here = f"type=local,dest={tmp_path / str(number)}"
        copy_cache([MAX], [f"{here},tag=only{number}"])
        both.append(start(here, upstream=(there,), port=port))
    for number, gateway in enumerate(both):
        [cache] = load_cache(f"type=registry,ref={gateway.host}/cache:only{1 - number}")
        assert cache.config == load_cache(MAX)[0].config
    missing = [f"/v2/cache/manifests/lost{number}" for number in range(100)]
    assert ask_at_once(both[0], missing) == {404}


def test_one_that_is_away_is_passed_over(start: Callable[..., Gateway]) -> None:
    away = f"type=registry,ref=127.0.0.1:{free_port()}/cache,retries=1"
    gateway = start(upstream=(away,))
    raw, digest = b"a blob", Digest.of(b"a blob")
    assert gateway.ask("HEAD", f"/v2/team/app/blobs/{digest}").status == 404
    assert gateway.ask("GET", f"/v2/team/app/manifests/{digest}").status == 404
    mount = f"/v2/team/app/blobs/uploads/?mount={digest}&from=other"
    assert gateway.ask("POST", mount).status == 202
    assert gateway.put_blob("team/app", raw) == digest
    assert gateway.ask("GET", f"/v2/team/app/blobs/{digest}").body == raw


class Away:
    """As much of a place as an Origin needs, which counts the questions."""

    title = "somewhere"

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    def question(self, place: object) -> int:
        self.asked += 1
        raise self.error


def test_one_that_is_away_is_not_asked_for_a_while() -> None:
    now = [0.0]
    place: Any = Away(BackendError("no route", op="read", temporary=True))
    with using_clock(Clock(monotonic=lambda: now[0])):
        origin = Origin(place)
    for _ in range(3):
        with pytest.raises(NotFound):
            origin.ask(place.question)
    assert place.asked == 1
    now[0] = 31.0
    with pytest.raises(NotFound):
        origin.ask(place.question)
    assert place.asked == 2


@pytest.mark.parametrize(
    "error",
    [NotFound("no"), WireFormat("no cache"), RegistryError("no", op="read", status=400)],
)
def test_one_that_answers_is_asked_again(error: Exception) -> None:
    place: Any = Away(error)
    origin = Origin(place)
    for _ in range(3):
        with pytest.raises(NotFound):
            origin.ask(place.question)
    assert place.asked == 3


def test_what_the_store_raises_counts() -> None:
    place: Any = Away(BackendError("no route", op="read", temporary=True))
    origin = Origin(place, is_store=True)
    for _ in range(3):
        with pytest.raises(BackendError):
            origin.ask(place.question)
    assert place.asked == 3


class Hole:
    """A server that takes what it is sent and never answers."""

    def __init__(self) -> None:
        self.heard = b""
        self._bound = socket.create_server(("127.0.0.1", 0))
        self.port = self._bound.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()

    def close(self) -> None:
        """Let all go that wait."""
        for each in (self._bound, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _take(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._bound.accept()
                self._open.append(connection)
                self.heard += connection.recv(65_536)


@pytest.fixture
def hole(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hole]:
    monkeypatch.setattr("cachexport.gateway.http.request.ANSWERING", 1.5)
    monkeypatch.setattr("cachexport.gateway.http.request.LISTING", 1.5)
    with closing(Hole()) as made:
        yield made


def test_an_upstream_that_hangs_is_passed_over(start: Callable[..., Gateway], hole: Hole) -> None:
    gateway = start(upstream=(f"type=registry,ref=127.0.0.1:{hole.port}/cache,retries=1",))
    known, unknown = "cachexport-0123456789abcdef", "x" * 9000
    via = f"1.1 {known}, 1.1 {unknown}"
    assert gateway.ask("GET", "/v2/cache/manifests/x", Via=via).status == 404
    assert ask_at_once(gateway, ["/v2/cache/manifests/y"] * 50) == {404}
    # Gateways are told of those that they may go through, and of nothing else that a client says.
    assert known.encode() in hole.heard
    assert unknown.encode() not in hole.heard


def test_a_store_that_hangs_is_answered_for(start: Callable[..., Gateway], hole: Hole) -> None:
    gateway = start(f"type=registry,ref=127.0.0.1:{hole.port}/cache,retries=1")
    asked = ["/v2/cache/manifests/x", f"/v2/cache/blobs/sha256:{0:064}", "/v2/cache/tags/list"]
    assert ask_at_once(gateway, asked * 20) == {503}
    assert gateway.ask("GET", "/healthz").status == 200
    gateway.stop()
    assert not gateway.thread.is_alive()


def test_a_list_that_takes_long_keeps_nobody_from_the_store(
    start: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, go_on = start(), threading.Event()
    monkeypatch.setattr("cachexport.gateway.http.request.LISTING", 0.3)
    monkeypatch.setattr(Shelf, "tags", lambda shelf, repository: go_on.wait(20))
    digest = gateway.put_blob("a", b"a blob")
    assert gateway.ask("GET", "/v2/a/tags/list").status == 503
    assert gateway.ask("GET", f"/v2/a/blobs/{digest}").body == b"a blob"
    go_on.set()
