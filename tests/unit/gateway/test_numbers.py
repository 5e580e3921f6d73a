"""Numbers of clients, of which some are longer than Python reads."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from cachexport.errors import InvalidInputError
from cachexport.gateway.http.request import MOST, number
from cachexport.gateway.http.server import bind

if TYPE_CHECKING:
    from unit.gateway.conftest import Gateway

RAW = os.urandom(1000)
IMAGE = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
LONG = 5000 * "9"
"""More digits than `int` takes."""


@pytest.mark.parametrize(
    ("digits", "value"),
    [("0", 0), ("0017", 17), (5000 * "0" + "3", 3), (str(MOST), MOST), (str(MOST + 1), MOST)],
)
def test_a_number(digits: str, value: int) -> None:
    assert number(digits) == value
    assert number(LONG) == MOST


def test_a_long_range(gateway: Gateway) -> None:
    path = f"/v2/a/blobs/{gateway.put_blob('a', RAW)}"
    assert gateway.ask("GET", path, Range=f"bytes={LONG}-").status == 416
    assert gateway.ask("GET", path, Range=f"bytes={LONG}-{LONG}").status == 416
    for wanted, first in ((f"bytes=900-{LONG}", 900), (f"bytes=-{LONG}", 0)):
        assert gateway.ask("GET", path, Range=wanted).body == RAW[first:]


@pytest.mark.parametrize("told", [f"0-{LONG}", f"{LONG}-{LONG}", f"bytes {LONG}-5/{LONG}"])
def test_a_long_content_range(gateway: Gateway, told: str) -> None:
    place = gateway.ask("POST", "/v2/a/blobs/uploads/").headers["Location"]
    refused = gateway.ask("PATCH", place, RAW, Content_Range=told)
    assert (refused.status, refused.code) == (416, "BLOB_UPLOAD_INVALID")


def test_a_long_page(gateway: Gateway) -> None:
    assert gateway.ask("PUT", "/v2/a/manifests/x", IMAGE).status == 201
    assert gateway.ask("GET", f"/v2/a/tags/list?n={LONG}").json["tags"] == ["x"]
    for odd in ("²", "٣", "-1", "1e3"):
        refused = gateway.ask("GET", f"/v2/a/tags/list?n={quote(odd)}")
        assert refused.code == "UNSUPPORTED"


@pytest.mark.parametrize("length", [LONG, "²", "-1"])
def test_a_long_length(gateway: Gateway, length: str) -> None:
    host, _, port = gateway.host.partition(":")
    with closing(socket.create_connection((host, int(port)), timeout=10)) as raw:
        head = f"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
        raw.sendall(head.encode("latin-1"))
        assert raw.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_a_long_port() -> None:
    with pytest.raises(InvalidInputError, match="host:port"):
        bind(f"127.0.0.1:{LONG}")
