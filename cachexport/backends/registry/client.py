"""Requests to one registry: where they go, who is asking, and when to try again."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import urllib3

from cachexport.backends.registry.errors import network, refusal
from cachexport.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from typing import Any

    from urllib3.response import BaseHTTPResponse

    from cachexport.backends.registry.attrs import Connection
    from cachexport.backends.registry.tokens import Authorizer

Body = bytes | None
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
_MAX_ANSWER = 64 << 10
"""Bytes of a refusal that are read."""
_MAX_PAUSE = 60.0
"""Seconds that a registry may make us wait before the next try."""
_ENDPOINTS = {"docker.io": "registry-1.docker.io"}
"""Where a registry answers, if not at the host that references name."""


class Client:
    """Sends requests for one repository of a registry. Threads may share it."""

    def __init__(
        self, host: str, scope: str, connection: Connection, authorizer: Authorizer
    ) -> None:
        self.host = host
        self._scope = scope
        self._connection = connection
        self._authorizer = authorizer
        self._pool = _pool(connection)
        self._guard = threading.Lock()
        self._base = ""

    @property
    def base(self) -> str:
        """The URL that paths are added to; found out with the first request."""
        with self._guard:
            if not self._base:
                self._base = self._find_base()
            return self._base

    def call(
        self,
        method: str,
        path: str,
        *,
        op: str,
        expect: Collection[int],
        headers: Mapping[str, str] | None = None,
        body: Body = None,
    ) -> BaseHTTPResponse:
        """Send a request, again after a temporary failure, and give the response.

        `path` may be a URL, as upload locations are. The caller reads and releases the response.
        Raises Auth, NotFound, RegistryError or BackendError for anything but the expected
        statuses; `op` says what was tried.
        """
        attempt = 1
        while True:
            retry_after = None
            try:
                response = self.send(method, path, op=op, headers=headers, body=body)
                retry_after = response.headers.get("Retry-After")
                self.check(op, response, expect)
            except BackendError as error:
                if not error.temporary or attempt >= self._connection.retries:
                    raise
            else:
                return response
            pause(attempt, retry_after)
            attempt += 1

    def send(
        self,
        method: str,
        path: str,
        *,
        op: str,
        headers: Mapping[str, str] | None = None,
        body: Body | Iterable[bytes] = None,
    ) -> BaseHTTPResponse:
        """Send a request once, answering when asked for a login, and give any response.

        A body that is no bytes cannot be sent twice: then a refused login is a temporary error.
        """
        url = urljoin(self.base, path)
        sent = self._header(url)
        response = self._follow(method, url, op, headers or {}, body, sent)
        challenge = response.headers.get("WWW-Authenticate", "")
        if response.status != 401 or not self._may_know(url):
            return response
        if not self._authorizer.refused(challenge, self._scope, sent):
            return response
        response.drain_conn()
        if body is not None and not isinstance(body, bytes):
            raise BackendError(f"{self.host}: the login expired", op=op, temporary=True)
        return self._follow(method, url, op, headers or {}, body, self._header(url))

    def check(self, op: str, response: BaseHTTPResponse, expect: Collection[int]) -> None:
        """Raise what a response means unless its status is one of the expected ones."""
        if response.status not in expect:
            raise self._refusal(op, response)

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()

    def _follow(
        self,
        method: str,
        url: str,
        op: str,
        headers: Mapping[str, str],
        body: Any,
        authorization: str | None,
    ) -> BaseHTTPResponse:
        for _ in range(_MAX_REDIRECTS):
            sent = dict(headers)
            # A login is for the registry: another host, such as a store that blobs are
            # redirected to, does not get it.
            if authorization is not None and self._may_know(url):
                sent["Authorization"] = authorization
            with network(op, self.host):
                response = self._pool.request(
                    method, url, headers=sent, body=body, preload_content=False, redirect=False
                )
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location or method not in ("GET", "HEAD"):
                return response
            response.drain_conn()
            url = urljoin(url, location)
        raise BackendError(f"{self.host}: cannot {op}: too many redirects", op=op)

    def _may_know(self, url: str) -> bool:
        mine, there = urlsplit(self.base), urlsplit(url)
        return (mine.scheme, mine.netloc) == (there.scheme, there.netloc)

    def _header(self, url: str) -> str | None:
        return self._authorizer.header(self._scope) if self._may_know(url) else None

    def _refusal(self, op: str, response: BaseHTTPResponse) -> Exception:
        with suppress(urllib3.exceptions.HTTPError):
            body = response.read(_MAX_ANSWER)
            response.drain_conn()
            return refusal(op, self.host, response.status, body)
        return refusal(op, self.host, response.status, b"")

    def _find_base(self) -> str:
        endpoint = _ENDPOINTS.get(self.host, self.host)
        insecure = self._connection.insecure
        if insecure is None:
            return f"{'http' if is_loopback(endpoint) else 'https'}://{endpoint}"
        if insecure and not self._answers(f"https://{endpoint}/v2/"):
            return f"http://{endpoint}"
        return f"https://{endpoint}"

    def _answers(self, url: str) -> bool:
        try:
            self._pool.request("GET", url, redirect=False)
        except urllib3.exceptions.HTTPError:
            return False
        return True


def is_loopback(host: str) -> bool:
    """Say whether a host, with or without a port, is this machine."""
    name = (urlsplit(f"//{host}").hostname or "").lower()
    return name in ("localhost", "::1") or name.startswith("127.")


def pause(attempt: int, retry_after: str | None) -> None:
    """Wait before the next try: what the registry asks for, else longer each time.

    Not all wait as long, so that many who were turned away together do not come back together.
    """
    asked = _asked(retry_after)
    wait = min(0.1 * 2**attempt, _MAX_PAUSE) if asked is None else min(asked, _MAX_PAUSE)
    time.sleep(wait * random.uniform(1.0, 1.5))  # noqa: S311 - nothing secret


def _asked(retry_after: str | None) -> float | None:
    if retry_after is None:
        return None
    with suppress(ValueError):
        return max(0.0, float(retry_after))
    with suppress(ValueError):
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    return None


def _pool(connection: Connection) -> urllib3.PoolManager:
    if connection.insecure:
        # Somebody asked for it; saying so at each request helps nobody.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    timeout = urllib3.Timeout(connect=connection.timeout, read=connection.timeout)
    return urllib3.PoolManager(
        num_pools=4,
        maxsize=connection.parallelism,
        block=False,
        retries=False,
        timeout=timeout,
        cert_reqs="CERT_NONE" if connection.insecure else "CERT_REQUIRED",
        headers={"User-Agent": "cachexport"},
    )
