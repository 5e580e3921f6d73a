"""What ends early: blobs of the store, and clients."""

from __future__ import annotations

import http.client
import os
import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from support import bucket

from cachexport import Digest
from cachexport.testing import Fault, Faults, FaultyObjects

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.bucket import Bucket
    from unit.gateway.conftest import Gateway

    from cachexport.content.protocols import Reader
    from cachexport.gateway.http.exchange import Exchange

RAW = os.urandom(1_000_000)
DIGEST = Digest.of(RAW)
BLOB = f"/v2/team/app/blobs/{DIGEST}"


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    return bucket.installed(monkeypatch)


@pytest.fixture
def gateway(stored: Bucket, start: Callable[..., Gateway]) -> Gateway:
    running = start(bucket.SPEC)
    running.put_blob("team/app", RAW)
    return running


def failing(
    start: Callable[..., Gateway], stored: Bucket, fault: Fault, *, verify: bool
) -> Gateway:
    """Start a second gateway, to whom the bucket is not as good."""
    stored.client = FaultyObjects(stored.objects, Faults([fault]))
    return start(bucket.SPEC, verify=verify)


def connected(gateway: Gateway) -> socket.socket:
    host, _, port = gateway.host.partition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def told(gateway: Gateway, method: str) -> Exchange:
    """Wait until the first request of this kind is over."""
    while True:
        for record in gateway.told:
            if record.method == method:
                return record
        time.sleep(0.005)


@pytest.mark.parametrize("wanted", [{}, {"Range": "bytes=5-"}])
@pytest.mark.parametrize("cut", [600_000, 999_994])
@pytest.mark.parametrize("verify", [False, True])
def test_a_blob_that_ends_early_breaks_the_connection(
    gateway: Gateway,
    stored: Bucket,
    start: Callable[..., Gateway],
    wanted: dict[str, str],
    cut: int,
    verify: bool,
) -> None:
    broken = failing(start, stored, Fault(op="read", cut=cut), verify=verify)
    with pytest.raises(http.client.IncompleteRead) as broke:
        broken.ask("GET", BLOB, **wanted)
    assert len(broke.value.partial) <= cut
    assert broken.told[-1].status == (206 if wanted else 200)
    assert broken.told[-1].error


@pytest.mark.parametrize(
    ("verify", "wanted", "status", "code"),
    [
        (False, {}, 503, "UNAVAILABLE"),
        (True, {}, 404, "BLOB_UNKNOWN"),
        (True, {"Range": "bytes=5-"}, 503, "UNAVAILABLE"),
    ],
)
def test_a_blob_that_ends_before_it_began_is_refused(
    gateway: Gateway,
    stored: Bucket,
    start: Callable[..., Gateway],
    verify: bool,
    wanted: dict[str, str],
    status: int,
    code: str,
) -> None:
    broken = failing(start, stored, Fault(op="read", cut=0), verify=verify)
    refused = broken.ask("GET", BLOB, **wanted)
    assert (refused.status, refused.code) == (status, code)
    assert ("Retry-After" in refused.headers) == (status == 503)


class Watched:
    """A body that counts what is read of it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.came = 0
        self.is_closed = False

    def read(self, size: int, /) -> bytes:
        block = self._reader.read(size)
        self.came += len(block)
        return block

    def close(self) -> None:
        self.is_closed = True
        self._reader.close()


@pytest.mark.parametrize("wanted", ["", "Range: bytes=1-\r\n"])
def test_for_a_client_that_is_gone_nothing_more_is_read(
    gateway: Gateway, stored: Bucket, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    size = 60_000_000
    digest = gateway.put_blob("team/app", bytes(size))
    read, watched = stored.objects.read, []

    def opened(key: str, /, *, start: int = 0) -> Watched:
        watched.append(Watched(read(key, start=start)))
        return watched[-1]

    monkeypatch.setattr(stored.objects, "read", opened)
    with closing(connected(gateway)) as client:
        head = f"GET /v2/team/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n{wanted}\r\n"
        client.sendall(head.encode())
        assert client.recv(4096)
    assert told(gateway, "GET").sent < size // 2
    [body] = watched
    assert body.is_closed
    assert body.came < size // 2


@pytest.mark.parametrize("size", [300_000, 30_000_000])
def test_what_comes_right_from_a_client_that_is_gone_is_not_stored(
    gateway: Gateway, stored: Bucket, size: int
) -> None:
    before = set(stored.objects.objects)
    raw = bytes(size)
    told(gateway, "POST")  # which stored what is there: it is told of after its answer
    gateway.told.clear()
    with closing(connected(gateway)) as client:
        place = f"/v2/team/app/blobs/uploads/?digest={Digest.of(raw)}"
        head = f"POST {place} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
        client.sendall(head.encode() + raw[:-1])
    record = told(gateway, "POST")
    assert (record.status, record.error) == (400, "the client went away")
    assert record.received < size
    assert set(stored.objects.objects) == before
    assert b"cachexport_uploads 0.0" in gateway.ask("GET", "/metrics").body
