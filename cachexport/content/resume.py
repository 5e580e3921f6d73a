"""Reading on where a connection broke."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.content.retry import ATTEMPTS, Retry
from cachexport.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachexport.content.protocols import Reader


class ResumingReader:
    """A stream that is asked for again, from where it broke, after a temporary BackendError.

    `ask` gives the stream from a byte on. It is asked at once, so that what is not there is known
    before the first read. So many `attempts` in a row may fail, or as many as `retry` says.
    """

    def __init__(
        self,
        ask: Callable[[int], Reader],
        attempts: int = ATTEMPTS,
        *,
        retry: Retry | None = None,
    ) -> None:
        self._ask = ask
        self._retry = retry or Retry(attempts=attempts)
        self._at = 0
        self._reader: Reader | None = self._retry.call(lambda: ask(0))

    def read(self, size: int, /) -> bytes:
        """Give the next bytes, `size` at most; none at the end. Raises BackendError."""
        block = self._retry.call(lambda: self._read(size))
        self._at += len(block)
        return block

    def close(self) -> None:
        """Close what is open; twice is fine."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def _read(self, size: int) -> bytes:
        try:
            if self._reader is None:
                self._reader = self._ask(self._at)
            return self._reader.read(size)
        except BackendError:
            self.close()
            raise
