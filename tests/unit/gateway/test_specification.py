"""Corners of the distribution specification, and of HTTP."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from cachexport import Digest

if TYPE_CHECKING:
    from unit.gateway.conftest import Gateway

RAW = os.urandom(700_000)
DIGEST = Digest.of(RAW)
READ = "GET, HEAD"
UPLOADS = "/v2/a/blobs/uploads/"


def connected(gateway: Gateway) -> socket.socket:
    host, _, port = gateway.host.partition(":")
    return socket.create_connection((host, int(port)), timeout=20)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v2/", READ),
        ("PUT", "/healthz", READ),
        ("DELETE", "/metrics", READ),
        ("DELETE", "/v2/a/tags/list", "GET"),
        ("POST", "/v2/a/manifests/x", "GET, HEAD, PUT, DELETE"),
        ("POST", f"{UPLOADS}some", "GET, PATCH, PUT, DELETE"),
    ],
)
def test_what_does_nothing_says_what_does(
    gateway: Gateway, method: str, path: str, allowed: str
) -> None:
    refused = gateway.ask(method, path)
    assert (refused.status, refused.headers["Allow"]) == (405, allowed)


def test_a_range_is_for_get(gateway: Gateway) -> None:
    path = f"/v2/a/blobs/{gateway.put_blob('a', RAW)}"
    head = gateway.ask("HEAD", path, Range="bytes=0-3")
    assert (head.status, head.headers["Content-Length"]) == (200, str(len(RAW)))


def test_a_range_that_ends_before_it_begins_is_none(gateway: Gateway) -> None:
    path = f"/v2/a/blobs/{gateway.put_blob('a', RAW)}"
    found = gateway.ask("GET", path, Range="bytes=5-2")
    assert (found.status, found.body) == (200, RAW)


@pytest.mark.parametrize("digest", [f"sha512:{'0' * 128}", "garbage", ""])
def test_what_cannot_be_mounted_is_sent(gateway: Gateway, digest: str) -> None:
    begun = gateway.ask("POST", f"{UPLOADS}?mount={digest}&from=b")
    assert begun.status == 202


def test_what_came_before_a_break_is_kept_to_the_byte(gateway: Gateway) -> None:
    place = gateway.ask("POST", UPLOADS).headers["Location"]
    with closing(connected(gateway)) as raw:
        head = f"PATCH {place} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(RAW)}\r\n\r\n"
        raw.sendall(head.encode() + RAW[:300_001])
        raw.shutdown(socket.SHUT_WR)
        raw.recv(4096)
    while (status := gateway.ask("GET", place)).status == 409:
        pass
    assert status.headers["Range"] == "0-300000"
    done = gateway.ask("PUT", f"{place}?digest={DIGEST}", RAW[300_001:])
    assert done.status == 201


@pytest.mark.parametrize("sent", [b"GET /v2/", b"GET /v2/ HTTP/1.1\r\nX: "])
def test_a_head_without_an_end(gateway: Gateway, sent: bytes) -> None:
    with closing(connected(gateway)) as raw:
        raw.sendall(sent + 100_000 * b"x")
        assert raw.recv(4096).startswith(b"HTTP/1.1 431 ")
        assert raw.recv(4096) == b""


def test_a_body_is_no_head(gateway: Gateway) -> None:
    with closing(connected(gateway)) as raw:
        for _ in range(2):  # on the same connection
            head = f"POST {UPLOADS}?digest={DIGEST} HTTP/1.1\r\nHost: x\r\n"
            raw.sendall(f"{head}Content-Length: {len(RAW)}\r\n\r\n".encode() + RAW)
            assert raw.recv(4096).startswith(b"HTTP/1.1 201 ")


def test_a_tag_that_is_away_is_not_missed(gateway: Gateway) -> None:
    gateway.ask("GET", "/v2/a/manifests/sha256:odd")
    gateway.ask("GET", "/v2/a/manifests/not,legal")
    assert b"cachexport_manifests_missed_total 0.0" in gateway.ask("GET", "/metrics").body
    gateway.ask("GET", "/v2/a/manifests/none")
    assert b"cachexport_manifests_missed_total 1.0" in gateway.ask("GET", "/metrics").body


def test_a_page_in_a_browser_writes_nothing(gateway: Gateway) -> None:
    for origin in ("http://evil.example", "null"):
        refused = gateway.ask("POST", UPLOADS, Origin=origin)
        assert (refused.status, refused.code) == (403, "DENIED")
    assert gateway.ask("GET", "/v2/", Origin="http://evil.example").status == 200


def test_where_buckets_keep_images_nothing_is_pushed(gateway: Gateway) -> None:
    for repository in ("cachexport/images", "cachexport/images/team/app"):
        refused = gateway.ask("PUT", f"/v2/{repository}/manifests/x", b"{}")
        assert (refused.status, refused.code) == (400, "NAME_INVALID")
    assert gateway.ask("GET", "/v2/cachexport/app/manifests/x").status == 404
