"""Clients that keep a gateway waiting, and a gateway that stops meanwhile."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from cachexport import Digest
from cachexport.gateway.http.protocol import Protocol

if TYPE_CHECKING:
    from asyncio import Transport
    from collections.abc import Callable
    from pathlib import Path

    from unit.gateway.conftest import Gateway

RAW = os.urandom(700_000)
DIGEST = Digest.of(RAW)


def begin(gateway: Gateway) -> str:
    return gateway.ask("POST", "/v2/team/app/blobs/uploads/").headers["Location"]


def connected(gateway: Gateway) -> socket.socket:
    host, _, port = gateway.host.partition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def test_many_that_send_next_to_nothing_keep_nobody_waiting(gateway: Gateway) -> None:
    with ExitStack() as stack:
        for number in range(100):
            raw = stack.enter_context(closing(connected(gateway)))
            verb = ("PATCH", "PUT")[number % 2]
            query = f"?digest={DIGEST}" if verb == "PUT" else ""
            head = f"{verb} {begin(gateway)}{query} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n"
            raw.sendall(f"{head}\r\nx".encode())
        assert gateway.put_blob("team/app", RAW) == DIGEST
        place = begin(gateway)
        assert gateway.ask("PATCH", place, RAW).status == 202
        assert gateway.ask("PUT", f"{place}?digest={DIGEST}").status == 201


def unread(gateway: Gateway, stack: ExitStack, size: int) -> socket.socket:
    """Ask for a blob of so many bytes and read nothing of it."""
    digest = gateway.put_blob("team/app", bytes(size))
    raw = stack.enter_context(closing(socket.socket()))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.settimeout(20)
    host, _, port = gateway.host.partition(":")
    raw.connect((host, int(port)))
    raw.sendall(f"GET /v2/team/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return raw


def test_one_that_takes_nothing_is_left(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cachexport.gateway.http.protocol.TAKING", 0.3)
    with ExitStack() as stack:
        unread(gateway, stack, 30_000_000)
        for _ in range(1000):
            if any(each.kind == "blobs" and each.method == "GET" for each in gateway.told):
                return
            time.sleep(0.01)
    raise AssertionError("it still waits")


def test_a_stop_does_not_wait_for_one_that_takes_nothing(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cachexport.gateway.http.protocol.TAKING", 0.3)
    with ExitStack() as stack:
        unread(gateway, stack, 30_000_000)
        unread(gateway, stack, 2_600_000)  # about what the machine's buffers hold
        stopping = threading.Thread(target=gateway.stop)
        stopping.start()
        stopping.join(15)
        assert not stopping.is_alive()


def test_one_that_reads_slowly_gets_all(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cachexport.gateway.http.protocol.TAKING", 1.0)
    size = 2_500_000
    with ExitStack() as stack:
        raw = unread(gateway, stack, size)
        came = b""
        while len(came) < size:
            block = raw.recv(1 << 20)
            assert block
            came += block
            time.sleep(0.0025)


def test_a_client_that_sends_next_to_nothing(start: Callable[..., Gateway]) -> None:
    gateway = start(timeout=0.2)
    place = begin(gateway)
    host, _, port = gateway.host.partition(":")
    with closing(socket.create_connection((host, int(port)), timeout=10)) as raw:
        raw.sendall(f"PATCH {place} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nx".encode())
        assert b" 408 " in raw.recv(4096)
    assert gateway.ask("DELETE", place).status == 204


def test_a_head_that_never_ends(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cachexport.gateway.http.protocol.ASKING", 0.2)
    host, _, port = gateway.host.partition(":")
    for sent in (b"", b"GET /v2/ HTTP/1.1\r\nHost: x\r\n"):
        with closing(socket.create_connection((host, int(port)), timeout=10)) as raw:
            raw.sendall(sent)
            assert raw.recv(4096) == b""


def test_a_stop_waits_for_uploads(gateway: Gateway, tmp_path: Path) -> None:
    place = begin(gateway)
    host, _, port = gateway.host.partition(":")
    with closing(socket.create_connection((host, int(port)), timeout=10)) as raw:
        head = f"PUT {place}?digest={DIGEST} HTTP/1.1\r\nHost: x\r\n"
        raw.sendall(f"{head}Content-Length: {len(RAW)}\r\n\r\n".encode() + RAW[:300_000])
        while not list((tmp_path / "store" / "ingest").rglob("*.tmp")):
            time.sleep(0.01)
        stopping = threading.Thread(target=gateway.stop)
        stopping.start()
        stopping.join(0.3)
        assert stopping.is_alive()
        raw.sendall(RAW[300_000:])
        assert b" 201 " in raw.recv(4096)
        stopping.join(10)
    assert (tmp_path / "store" / "blobs" / "sha256" / DIGEST.encoded).read_bytes() == RAW


def test_what_came_in_part_may_go_on_when_it_is_told_to_end(
    gateway: Gateway, tmp_path: Path
) -> None:
    place = begin(gateway)
    gateway.ask("PATCH", place, RAW[:300_000])
    gateway.drain()
    while gateway.ask("GET", "/healthz").status == 200:
        time.sleep(0.01)
    refused = gateway.ask("POST", "/v2/team/app/blobs/uploads/")
    assert (refused.status, refused.code) == (503, "UNAVAILABLE")
    assert gateway.ask("PUT", f"{place}?digest={DIGEST}", RAW[300_000:]).status == 201
    gateway.thread.join(10)
    assert not gateway.thread.is_alive()


GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
REFUSED = b"PUT /v2/ HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (GET, b"\r\n"),
        (GET, b"GET /he"),
        (REFUSED + b"Content-Length: 1000000000\r\n\r\n", b""),
        (REFUSED + b"Content-Length: 1000000000\r\n\r\n", b"x"),
        (REFUSED + b"Transfer-Encoding: chunked\r\n\r\n", b"ff\r\nab"),
    ],
)
def test_what_comes_after_an_answer_comes_soon(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, first: bytes, then: bytes
) -> None:
    monkeypatch.setattr("cachexport.gateway.http.protocol.ASKING", 0.3)
    with closing(connected(gateway)) as raw:
        raw.sendall(first)
        assert raw.recv(4096)
        raw.sendall(then)
        while raw.recv(4096):  # the rest of the answer, and then the end
            pass


@pytest.mark.parametrize("trailer", [b"X: y\r\n", b"x"])
def test_trailers_without_an_end(gateway: Gateway, trailer: bytes) -> None:
    with closing(connected(gateway)) as raw:
        raw.sendall(REFUSED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
        with pytest.raises(ConnectionError):
            for _ in range(10_000):
                raw.sendall(trailer * 1000)


def test_a_head_that_is_sent_ahead_waits_for_the_answer_before(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cachexport.gateway.http.protocol.ASKING", 0.2)
    with ExitStack() as stack:
        size = 2_000_000
        raw = unread(gateway, stack, size)
        raw.sendall(GET[:9])
        came = b""
        while len(came) < size:
            block = raw.recv(1 << 20)
            assert block
            came += block
            time.sleep(0.001)


def test_small_answers_do_not_wait_for_each_other(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Protocol.connection_made
    found: list[int] = []

    def connection_made(protocol: Protocol, transport: Transport) -> None:
        made(protocol, transport)
        bound = transport.get_extra_info("socket")
        found.append(bound.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(Protocol, "connection_made", connection_made)
    gateway.ask("GET", "/healthz")
    assert found
    assert all(found)
