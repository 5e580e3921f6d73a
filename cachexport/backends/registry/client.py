"""Requests to one registry: their URL, their login, redirects and retries."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import urllib3

from cachexport.backends.registry.connections import Pools, Proxies, is_loopback, origin
from cachexport.backends.registry.errors import network, refusal, seconds_asked
from cachexport.content.parallel import map_parallel
from cachexport.content.retry import Retry
from cachexport.errors import BackendError, CachexportError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from urllib3.response import BaseHTTPResponse

    from cachexport.backends.registry.attrs import RegistryConnection
    from cachexport.backends.registry.login import Authorizer

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5
_MAX_ANSWER = 64 << 10
"""Bytes of a refusal that are read."""
_LONGEST_PAUSE = 60.0
"""Seconds between two tries."""
_SHORT = 5.0
"""Seconds for a request whose answer does not matter."""
_ENDPOINTS = {"docker.io": "registry-1.docker.io"}
"""Hosts of registries that answer at another one than references name."""


class Client:
    """Sends requests for one repository of a registry. Threads may share it.

    Without `pools` it has its own, and no proxy is used.
    """

    def __init__(
        self,
        host: str,
        scope: str,
        connection: RegistryConnection,
        authorizer: Authorizer,
        pools: Pools | None = None,
    ) -> None:
        self.host = host
        self.retry = Retry(attempts=connection.retries, longest_pause=_LONGEST_PAUSE)
        """The policy for requests and uploads that failed."""
        self._scope = scope
        self._connection = connection
        self._authorizer = authorizer
        self._pools = pools or Pools(connection, Proxies({}))
        self._guard = threading.Lock()
        self._base = ""

    @property
    def base(self) -> str:
        """The URL that paths are added to. The first use may ask the registry for its scheme."""
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
        body: bytes | None = None,
        scope: str | None = None,
        before_retry: Callable[[], object] | None = None,
    ) -> BaseHTTPResponse:
        """Send a request, again after a temporary failure, and give the response.

        `path` may be a URL, as upload locations are. The caller reads and releases the response.
        `expect` are the statuses to give back. For any other raises Auth, NotFound,
        RegistryError or BackendError, whose message says what was tried by `op`; none is
        temporary, since the retries are used up. `scope` is for a token that has to be good for
        more than the repository. `before_retry` is called right before each further try; its
        errors are raised.
        """

        def ask() -> BaseHTTPResponse:
            response = self.send(method, path, op=op, headers=headers, body=body, scope=scope)
            self.check(op, response, expect)
            return response

        return self.retry.call(ask, before_retry=before_retry)

    def send(
        self,
        method: str,
        path: str,
        *,
        op: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes | memoryview] | None = None,
        scope: str | None = None,
    ) -> BaseHTTPResponse:
        """Send a request once, twice if the first was refused for its login. Gives any response.

        An iterator cannot be sent twice: if its login is refused that is a temporary error.
        """
        url = urljoin(self.base, path)
        scope = scope or self._scope
        sent = self._header(url, scope)
        request = _Request(method, url, op, headers or {}, body)
        response = self._follow(request, sent)
        challenge = response.headers.get("WWW-Authenticate", "")
        if response.status != 401 or not self._may_know(url):
            return response
        if not self._authorizer.refused(challenge, scope, sent):
            return response
        response.drain_conn()
        if isinstance(body, Iterator):
            raise BackendError(f"{self.host}: the login expired", op=op, temporary=True)
        return self._follow(request, self._header(url, scope))

    def discard(self, url: str) -> None:
        """Send a DELETE once, for what the registry may keep as well. Raises nothing."""
        with suppress(CachexportError, urllib3.exceptions.HTTPError):
            login = self._header(url, self._scope)
            headers = {"Authorization": login} if login else {}
            timeout = min(self._connection.timeout, _SHORT)
            self._pools.request("DELETE", url, headers, timeout=timeout).drain_conn()

    def check(self, op: str, response: BaseHTTPResponse, expect: Collection[int]) -> None:
        """Raise the error for a response whose status is not one of the expected ones."""
        if response.status not in expect:
            raise self._refusal(op, response)

    def check_registry(self) -> None:
        """Raise BackendError unless this is a registry: a web server answers 404 too."""
        response = self.call("GET", "/v2/", op="ask for the API", expect=range(100, 600))
        response.drain_conn()
        if response.status not in (200, 401, 403):
            message = f"{self.host} is no registry: it answered {response.status} to GET /v2/"
            raise BackendError(f"{message}; check host and port", op="ask for the API")

    def close(self) -> None:
        """Close all connections."""
        self._pools.close()

    def _follow(self, request: _Request, authorization: str | None) -> BaseHTTPResponse:
        url = request.url
        for _ in range(_MAX_REDIRECTS):
            headers = dict(request.headers)
            # The login is for the registry only, not for a store that it redirects to.
            if authorization is not None and self._may_know(url):
                headers["Authorization"] = authorization
            with network(request.op, self.host):
                response = self._pools.request(request.method, url, headers, body=request.body)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location or not request.may_be_redirected:
                return response
            response.drain_conn()
            url = urljoin(url, location)
        message = f"{self.host}: cannot {request.op}: too many redirects"
        raise BackendError(message, op=request.op)

    def _may_know(self, url: str) -> bool:
        return origin(url) == origin(self.base)

    def _header(self, url: str, scope: str) -> str | None:
        return self._authorizer.header(scope) if self._may_know(url) else None

    def _refusal(self, op: str, response: BaseHTTPResponse) -> Exception:
        body = b""
        with suppress(urllib3.exceptions.HTTPError):
            body = response.read(_MAX_ANSWER)
            response.drain_conn()
        asked = seconds_asked(response.headers.get("Retry-After"))
        return refusal(op, self.host, response.status, body, self._authorizer.origin, asked)

    def _find_base(self) -> str:
        endpoint = _ENDPOINTS.get(self.host, self.host)
        insecure = self._connection.insecure
        if insecure is None:
            plain = is_loopback(origin(f"//{endpoint}")[1])
            return f"{'http' if plain else 'https'}://{endpoint}"
        bases = [f"https://{endpoint}", f"http://{endpoint}"]
        # Both at once, to wait for one round trip only; the connection is used again.
        encrypted, plain = map_parallel(self._answers, bases, 2) if insecure else (True, False)
        return bases[1] if plain and not encrypted else bases[0]

    def _answers(self, base: str) -> bool:
        try:
            self._pools.request("GET", f"{base}/v2/", {}).drain_conn()
        except urllib3.exceptions.HTTPError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    op: str
    headers: Mapping[str, str]
    body: bytes | Iterable[bytes | memoryview] | None

    @property
    def may_be_redirected(self) -> bool:
        return self.method in ("GET", "HEAD")
