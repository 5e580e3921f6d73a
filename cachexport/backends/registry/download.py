"""Reading from a registry, going on where a connection broke."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.backends.registry.errors import give_up, network
from cachexport.content.retry import persistently
from cachexport.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3.response import BaseHTTPResponse

    from cachexport.backends.registry.client import Client

_WHOLE, _PART, _NO_SUCH_PART = 200, 206, 416


class BlobReader:
    """A stream over something in a registry. Nothing in it is verified.

    It is named by its digest, so what comes after a break is of the same content: whoever
    verifies it would see if it were not.
    """

    def __init__(self, client: Client, path: str, headers: Mapping[str, str], op: str) -> None:
        self._client = client
        self._path = path
        self._headers = {"Accept-Encoding": "identity", **headers}
        self._op = op
        self._at = 0
        self._ranges = True
        self._response: BaseHTTPResponse | None = self._ask()

    def read(self, size: int, /) -> bytes:
        """Give the next bytes, `size` at most; none at the end.

        Raises BackendError, none that is temporary: it was tried as often as the client does.
        """
        tries = self._client.retries
        try:
            block = persistently(lambda: self._read(size), tries)
        except BackendError as error:
            if error.temporary:
                give_up(error, tries)
            raise
        self._at += len(block)
        return block

    def close(self) -> None:
        """Give the connection back; twice is fine."""
        self._drop()

    def _read(self, size: int) -> bytes:
        try:
            if self._response is None:
                self._response = self._ask()
                self._skip(self._response)
            with network(self._op, self._client.host):
                return self._response.read(size)
        except BackendError:
            self._drop()
            raise

    def _ask(self) -> BaseHTTPResponse:
        """Ask for the rest, or for all of it where a registry has no ranges."""
        if self._at and self._ranges:
            response = self._get({"Range": f"bytes={self._at}-"}, (_PART, _WHOLE, _NO_SUCH_PART))
            if response.status == _WHOLE or self._is_rest(response):
                return response
            response.close()
            self._ranges = False
        response = self._get({}, (_WHOLE,))
        # A range of what is encoded on the way is not one of the content.
        self._ranges = self._ranges and not _is_encoded(response)
        return response

    def _is_rest(self, response: BaseHTTPResponse) -> bool:
        begins = response.headers.get("Content-Range", "").startswith(f"bytes {self._at}-")
        return response.status == _PART and begins and not _is_encoded(response)

    def _get(self, headers: Mapping[str, str], expect: tuple[int, ...]) -> BaseHTTPResponse:
        headers = {**self._headers, **headers}
        return self._client.call("GET", self._path, op=self._op, headers=headers, expect=expect)

    def _skip(self, response: BaseHTTPResponse) -> None:
        """Pass over what was read before, if it comes again."""
        left = self._at if response.status == _WHOLE else 0
        with network(self._op, self._client.host):
            while left and (block := response.read(min(left, 1 << 20))):
                left -= len(block)

    def _drop(self) -> None:
        response, self._response = self._response, None
        if response is not None:
            response.close()


def _is_encoded(response: BaseHTTPResponse) -> bool:
    return response.headers.get("Content-Encoding", "identity").lower() != "identity"
