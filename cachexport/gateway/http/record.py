"""What is told of a request when it is over."""

from __future__ import annotations

from dataclasses import dataclass

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
