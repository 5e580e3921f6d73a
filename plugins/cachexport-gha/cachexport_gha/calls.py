"""Requests with JSON, not faster than whoever answers them wants them."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import urllib3

from cachexport.errors import BackendError
from cachexport.plugin import Retry, clock
from cachexport_gha.errors import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

_RETRY = Retry(attempts=5)
_CONNECT, _READ = 10.0, 60.0
"""Seconds."""
_RATE, _BURST = 20.0, 60.0
"""Requests in a second, and how many at once after a pause."""
_LONGEST = 120.0
"""Seconds; who wants a longer pause is not waited for."""


@dataclass(slots=True)
class Bucket:
    """Tokens that drop in steadily, one for each request; all threads share it."""

    _tokens: float = _BURST
    _at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> None:
        """Wait until a request may go."""
        with self._lock:
            now = clock().monotonic()
            self._tokens = min(_BURST, self._tokens + max(0.0, now - self._at) * _RATE) - 1.0
            self._at = max(now, self._at)
            wait = self._at - now + max(0.0, -self._tokens / _RATE)
        if wait > 0:
            clock().sleep(wait)

    def pause(self, seconds: float) -> None:
        """Let nothing go for so long: the other side asked for that."""
        with self._lock:
            self._at = max(self._at, clock().monotonic() + seconds)
            self._tokens = 0.0


class Calls:
    """Sends requests to `base` with a login that goes nowhere else."""

    def __init__(self, base: str, headers: Mapping[str, str], place: str, bucket: Bucket) -> None:
        self._base = base
        self._headers = dict(headers)
        self._place = place
        self._bucket = bucket
        self._pool = urllib3.PoolManager(
            maxsize=16, timeout=urllib3.Timeout(connect=_CONNECT, read=_READ), retries=False
        )
        self.date = ""
        """What the last answer said of the time."""

    def ask(self, method: str, path: str, op: str, where: str = "", *, body: Any = None) -> Any:
        """Give the JSON of an answer; None for an empty one.

        What is temporary is tried again, after the pause that was asked for. Raises what
        `refusal` gives.
        """
        place = where or self._place
        return _RETRY.call(lambda: self._ask(method, path, op, place, body))

    def close(self) -> None:
        """Free the connections; twice is fine."""
        self._pool.clear()

    def _ask(self, method: str, path: str, op: str, where: str, body: Any) -> Any:
        self._bucket.take()
        try:
            answer = self._pool.request(
                method,
                self._base + path,
                headers=self._headers,
                body=None if body is None else json.dumps(body).encode(),
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            message = f"{where}: cannot {op}: nothing answers there ({type(error).__name__})"
            raise BackendError(message, op=op, temporary=True) from error
        self.date = answer.headers.get("Date", "")
        if answer.status >= 300:
            self._heed(answer.headers.get("Retry-After", ""))
            raise refusal(op, where, answer.status, _code(answer.data))
        try:
            return json.loads(answer.data) if answer.data else None
        except ValueError as error:
            message = f"{where}: cannot {op}: what answers does not speak as GitHub does"
            raise BackendError(message, op=op) from error

    def _heed(self, retry_after: str) -> None:
        seconds = _seconds(retry_after)
        if seconds > 0:
            self._bucket.pause(min(seconds, _LONGEST))


def _seconds(retry_after: str) -> float:
    """Read a Retry-After, which is seconds or a date; 0 for none."""
    if retry_after.isdecimal() and len(retry_after) < 10:
        return float(retry_after)
    try:
        return parsedate_to_datetime(retry_after).timestamp() - clock().now()
    except (ValueError, TypeError):
        return 0.0


def _code(raw: bytes) -> str:
    try:
        found = json.loads(raw)
    except ValueError:
        return ""
    code = found.get("code", "") if isinstance(found, dict) else ""
    return code if isinstance(code, str) and code.replace("_", "").isalpha() else ""
