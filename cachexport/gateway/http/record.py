"""Requests that are over: a record of each, and Prometheus's counts of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

if TYPE_CHECKING:
    from collections.abc import Callable


_TLS = b"\x16"
"""What TLS begins with."""


@dataclass(slots=True, kw_only=True)
class Record:
    """A request and its answer; without a method, what was no request."""

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
    """What was answered, or the name stands for now; a merge makes that another than was pushed."""
    size: int = 0
    """Bytes of the blob that was asked for, or is there now."""
    status: int = 0
    received: int = 0
    """Bytes of the body that came."""
    sent: int = 0
    """Bytes of the body that went."""
    seconds: float = 0.0
    error: str = ""


def stranger(client: tuple[str, int] | None, begin: bytes) -> Record:
    """Tell of a client, by address and port, that sent no HTTP but what begins so."""
    host, port = client or ("", 0)
    what = "speaks TLS, and this is plain HTTP" if begin == _TLS else "sent what is no HTTP"
    error = f"the client at {host}:{port} {what}"
    return Record(method="", path="", client=host, agent="", status=400, error=error)


_NOT_FOUND = 404
_SECONDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0)


class Metrics:
    """Counts the requests of one gateway. `uploads` tells how many are under way."""

    media_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, uploads: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "kind", "status")
        told = self._registry
        self._requests = Counter("cachexport_requests", "Requests.", labels, registry=told)
        self._received = Counter("cachexport_received_bytes", "Bytes that came.", registry=told)
        self._sent = Counter("cachexport_sent_bytes", "Bytes that went.", registry=told)
        self._found = Counter(
            "cachexport_manifests_found", "Tags found, by place.", ("place",), registry=told
        )
        self._missed = Counter("cachexport_manifests_missed", "Tags not found.", registry=told)
        self._seconds = Histogram(
            "cachexport_request_seconds",
            "How long requests took.",
            ("kind",),
            buckets=_SECONDS,
            registry=told,
        )
        gauge = Gauge("cachexport_uploads", "Uploads under way.", registry=told)
        gauge.set_function(uploads)

    def tell(self, record: Record) -> None:
        """Count a request that is over."""
        kind = record.kind or "other"
        self._requests.labels(_method(record.method), kind, str(record.status)).inc()
        self._received.inc(record.received)
        self._sent.inc(record.sent)
        self._seconds.labels(kind).observe(record.seconds)
        if kind == "manifests" and record.method in ("GET", "HEAD") and ":" not in record.item:
            if record.origin:
                self._found.labels(record.origin).inc()
            elif record.status == _NOT_FOUND:
                self._missed.inc()

    def text(self) -> bytes:
        """Give all counts as Prometheus reads them."""
        return generate_latest(self._registry)


def _method(text: str) -> str:
    """Give a method that is known, so that no client makes labels without end."""
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    return text if text in known else "other"
