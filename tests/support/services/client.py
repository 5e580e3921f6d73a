"""A plain HTTP client: it follows nothing, adds nothing and asks no environment variable."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from email.message import Message


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    method: str,
    url: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    trust: ssl.SSLContext | None = None,
) -> Answer:
    """Make one request on a connection of its own."""
    parts = urlsplit(url)
    connection = _connection(parts.scheme, parts.netloc, trust)
    try:
        target = urlunsplit(("", "", parts.path, parts.query, ""))
        connection.request(method, target, body, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def _connection(scheme: str, host: str, trust: ssl.SSLContext | None) -> HTTPConnection:
    if scheme == "https":
        return HTTPSConnection(host, timeout=30, context=trust)
    return HTTPConnection(host, timeout=30)
