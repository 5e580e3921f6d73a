"""The one policy of retries: whether to try again, how often, and how long to wait before.

An error says whether another try may help (`temporary`) and when the server wants it
(`retry_after`). Code that can start over calls its work through a policy. When the tries are used
up, the error that is raised is no longer temporary. So the tries of nested layers never multiply.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from cachexport.content.clock import clock
from cachexport.errors import BackendError, TransferError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachexport.content.protocols import Reader


_T = TypeVar("_T")
_log = logging.getLogger(__name__)

ATTEMPTS = 5
"""How many tries there are in all, if the backend has no setting for it."""
_LONGEST_ASKED = 60.0
"""Seconds that a server may make us wait before the next try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A policy. Pauses double from `first_pause` up to `longest_pause` seconds.

    Each is multiplied by a random number from the range `jitter`, so that clients that were turned
    away together do not come back together.
    """

    attempts: int | None = ATTEMPTS
    """How many tries there are in all; None if only `timeout` limits them."""
    timeout: float | None = None
    """Seconds after the first try during which another may start; None for no limit."""
    first_pause: float = 0.2
    longest_pause: float = 30.0
    jitter: tuple[float, float] = (1.0, 1.5)

    def call(
        self,
        work: Callable[[], _T],
        *,
        is_temporary: Callable[[Exception], bool] | None = None,
        before_retry: Callable[[], object] | None = None,
    ) -> _T:
        """Call `work` until it succeeds or fails for good, and give what it gives.

        `is_temporary` decides which errors are worth another try; by default that is
        `error.temporary`. `before_retry` is called right before each further try; what it raises is
        raised. Raises the last error of `work`, which says how many tries there were.
        """
        may_help = is_temporary or _says_so
        started = clock().monotonic()
        failures = 0
        while True:
            try:
                return work()
            except Exception as error:
                if not may_help(error):
                    raise
                failures += 1
                if self._is_over(failures, clock().monotonic() - started):
                    _raise_exhausted(error, failures)
                _log.info("%s; trying again", error)
                pause = self._pause(failures, error)
            clock().sleep(pause)
            if before_retry is not None:
                before_retry()

    def _is_over(self, failures: int, seconds: float) -> bool:
        if self.attempts is not None and failures >= self.attempts:
            return True
        return self.timeout is not None and seconds >= self.timeout

    def _pause(self, failures: int, error: Exception) -> float:
        asked = getattr(error, "retry_after", None)
        growing = min(self.first_pause * 2.0 ** min(failures - 1, 32), self.longest_pause)
        pause = growing if asked is None else min(asked, _LONGEST_ASKED)
        return float(pause * random.uniform(*self.jitter))  # noqa: S311 - nothing secret


def retry(work: Callable[[], _T], attempts: int = ATTEMPTS) -> _T:
    """Call `work` at most `attempts` times; see `Retry.call`."""
    return Retry(attempts=attempts).call(work)


def _says_so(error: Exception) -> bool:
    return isinstance(error, BackendError | TransferError) and error.temporary


def _raise_exhausted(error: Exception, attempts: int) -> None:
    if isinstance(error, BackendError | TransferError):
        exhausted = error.exhausted_after(attempts)
        raise exhausted from exhausted.__cause__
    raise error


class ResumingReader:
    """A stream that is reopened where it broke, after a temporary BackendError.

    `ask(start)` opens the stream at a byte. It is opened at once, so that a missing blob is known
    before the first read. `attempts`, or the policy `retry`, limits the tries of one read.
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
