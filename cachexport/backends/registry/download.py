"""Reading from a registry, going on where a connection broke."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.backends.registry.errors import network
from cachexport.content.retry import persistently
from cachexport.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3.response import BaseHTTPResponse

    from cachexport.backends.registry.client import Client


class BlobReader:
    """A stream over something in a registry. Nothing in it is verified."""

    def __init__(self, client: Client, path: str, headers: Mapping[str, str], op: str) -> None:
        self._client = client
        self._path = path
        self._headers = dict(headers)
        self._op = op
        self._at = 0
        self._response: BaseHTTPResponse | None = self._ask()

    def read(self, size: int, /) -> bytes:
        """Give the next bytes, `size` at most; none at the end. Raises BackendError."""
        block = persistently(lambda: self._read(size))
        self._at += len(block)
        return block

    def close(self) -> None:
        """Give the connection back; twice is fine."""
        self._drop()

    def _read(self, size: int) -> bytes:
        try:
            if self._response is None:
                self._response = self._ask()
            with network(self._op, self._client.host):
                return self._response.read(size)
        except BackendError:
            self._drop()
            raise

    def _ask(self) -> BaseHTTPResponse:
        headers = {"Accept-Encoding": "identity", **self._headers}
        expect: tuple[int, ...] = (200,)
        if self._at:
            headers["Range"] = f"bytes={self._at}-"
            expect = (206, 200)
        response = self._client.call("GET", self._path, op=self._op, headers=headers, expect=expect)
        if self._at and response.status == 200:
            self._skip(response)
        return response

    def _skip(self, response: BaseHTTPResponse) -> None:
        """Pass over what was read before, where a registry knows no ranges."""
        left = self._at
        with network(self._op, self._client.host):
            while left and (block := response.read(min(left, 1 << 20))):
                left -= len(block)

    def _drop(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            response.close()
