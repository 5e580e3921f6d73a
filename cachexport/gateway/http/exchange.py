"""Requests with their answers, and the counts of all for Prometheus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

if TYPE_CHECKING:
    from collections.abc import Callable


_TLS = b"\x16"
"""The first byte of a TLS connection."""


@dataclass(slots=True, kw_only=True)
class Exchange:
    """A request and its answer. Without a method, the client sent no HTTP request."""

    method: str
    path: str
    client: str
    agent: str
    kind: str = ""
    """What was asked for: base, manifests, blobs, uploads, tags."""
    repository: str = ""
    item: str = ""
    """The tag, the digest or the upload that was asked for."""
    origin: str = ""
    """The place that a manifest was found in."""
    digest: str = ""
    """The digest that was answered or, after a push, that the name has: a merge changes it."""
    size: int = 0
    """Bytes of the blob that was asked for or uploaded."""
    status: int = 0
    received: int = 0
    """Bytes of the request's body."""
    sent: int = 0
    """Bytes of the answer's body."""
    seconds: float = 0.0
    error: str = ""


def stranger(client: tuple[str, int] | None, begin: bytes) -> Exchange:
    """Give the exchange of a client that sent no HTTP; `begin` is the first byte that it sent."""
    host, port = client or ("", 0)
    what = "speaks TLS, and this is plain HTTP" if begin == _TLS else "sent what is no HTTP"
    error = f"the client at {host}:{port} {what}"
    return Exchange(method="", path="", client=host, agent="", status=400, error=error)


_NOT_FOUND = 404
_SECONDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0)


class Metrics:
    """Counts the requests of one gateway. `uploads` gives the number of uploads under way."""

    media_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, uploads: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "kind", "status")
        registry = self._registry
        self._requests = Counter("cachexport_requests", "Requests.", labels, registry=registry)
        self._received = Counter("cachexport_received_bytes", "Bytes that came.", registry=registry)
        self._sent = Counter("cachexport_sent_bytes", "Bytes that went.", registry=registry)
        self._found = Counter(
            "cachexport_manifests_found", "Tags found, by place.", ("place",), registry=registry
        )
        self._missed = Counter("cachexport_manifests_missed", "Tags not found.", registry=registry)
        self._seconds = Histogram(
            "cachexport_request_seconds",
            "How long requests took.",
            ("kind",),
            buckets=_SECONDS,
            registry=registry,
        )
        gauge = Gauge("cachexport_uploads", "Uploads under way.", registry=registry)
        gauge.set_function(uploads)

    def count(self, exchange: Exchange) -> None:
        """Count a request that is over."""
        kind = exchange.kind or "other"
        self._requests.labels(_method(exchange.method), kind, str(exchange.status)).inc()
        self._received.inc(exchange.received)
        self._sent.inc(exchange.sent)
        self._seconds.labels(kind).observe(exchange.seconds)
        if kind == "manifests" and exchange.method in ("GET", "HEAD") and ":" not in exchange.item:
            if exchange.origin:
                self._found.labels(exchange.origin).inc()
            elif exchange.status == _NOT_FOUND:
                self._missed.inc()

    def text(self) -> bytes:
        """Give all counts as Prometheus reads them."""
        return generate_latest(self._registry)


def _method(text: str) -> str:
    """Give a known method, or `other`: clients must not be able to make up labels."""
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    return text if text in known else "other"
