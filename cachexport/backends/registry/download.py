"""Downloads from a registry, which go on where a connection broke."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from cachexport.backends.registry.errors import network
from cachexport.content.retry import ResumingReader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from urllib3.response import BaseHTTPResponse

    from cachexport.backends.registry.client import Client
    from cachexport.content.protocols import Reader

_WHOLE, _PART, _NO_SUCH_PART = 200, 206, 416


def open_download(client: Client, path: str, headers: Mapping[str, str], op: str) -> Reader:
    """Open a blob or manifest by its digest, unverified; the caller closes it.

    The bytes after a break may be of other content; the digest, which the caller verifies, would
    show it. The client's policy says how often one read is tried.
    """
    return ResumingReader(_Download(client, path, headers, op).ask, retry=client.retry)


class _Download:
    """Asks for the rest from a byte on, or for everything where a registry has no ranges."""

    def __init__(self, client: Client, path: str, headers: Mapping[str, str], op: str) -> None:
        self._client = client
        self._path = path
        self._headers = {"Accept-Encoding": "identity", **headers}
        self._op = op
        self._ranges = True

    def ask(self, start: int) -> Reader:
        """Give the content from byte `start` on. Raises as `Client.call` does."""
        body = _Body(self._ask(start), partial(network, self._op, self._client.host))
        if start and body.is_whole:
            body.skip(start)
        return body

    def _ask(self, start: int) -> BaseHTTPResponse:
        if start and self._ranges:
            wanted = {"Range": f"bytes={start}-"}
            response = self._get(wanted, (_PART, _WHOLE, _NO_SUCH_PART))
            if response.status == _WHOLE or _is_rest(response, start):
                return response
            response.close()
            self._ranges = False
        response = self._get({}, (_WHOLE,))
        # A range of an encoded body is not one of the content.
        self._ranges = self._ranges and not _is_encoded(response)
        return response

    def _get(self, headers: Mapping[str, str], expect: tuple[int, ...]) -> BaseHTTPResponse:
        headers = {**self._headers, **headers}
        return self._client.call("GET", self._path, op=self._op, headers=headers, expect=expect)


class _Body:
    """The body of a response. Raises our errors instead of urllib3's."""

    def __init__(
        self, response: BaseHTTPResponse, translated: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self.is_whole = response.status == _WHOLE
        self._response = response
        self._translated = translated

    def read(self, size: int, /) -> bytes:
        with self._translated():
            return self._response.read(size)

    def skip(self, size: int) -> None:
        """Read past so many bytes, or to the end."""
        while size and (block := self.read(min(size, 1 << 20))):
            size -= len(block)

    def close(self) -> None:
        self._response.close()


def _is_rest(response: BaseHTTPResponse, start: int) -> bool:
    begins = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    return response.status == _PART and begins and not _is_encoded(response)


def _is_encoded(response: BaseHTTPResponse) -> bool:
    return response.headers.get("Content-Encoding", "identity").lower() != "identity"
