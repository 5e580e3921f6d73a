"""Answering a registry that asks who is asking."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from urllib3.exceptions import HTTPError

from cachexport.backends.registry.errors import reason
from cachexport.backends.registry.hosts import PORTS, domain, is_loopback, origin
from cachexport.errors import Auth, BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from urllib3.response import BaseHTTPResponse

    from cachexport.backends.registry.credentials import Login
    from cachexport.backends.registry.pools import Pools

_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_DEFAULT_LIFE = 60.0
"""Seconds that a token lives where the answer does not say, by the specification."""
_MAX_ANSWER = 1 << 20
"""Bytes of an answer that are read."""
_OK = 200
_MARGIN = 0.9
"""Part of its life after which a token is taken for expired."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a `WWW-Authenticate` header asks for."""

    scheme: str
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, header: str) -> Challenge:
        """Read the header of a response with status 401."""
        scheme, _, rest = header.strip().partition(" ")
        found = {
            m[1].lower(): m[2] if m[2] is not None else m[3] for m in _PARAMETER.finditer(rest)
        }
        return cls(scheme.lower(), found)


@dataclass(slots=True)
class _Token:
    header: str = field(repr=False)
    until: float


class Authorizer:
    """Gives the Authorization header for one registry, asked anew for every request.

    Tokens are fetched when the registry asks for one, kept per scope until shortly before they
    expire, and fetched once however many threads wait for them. A scope is one, or several with
    spaces between them. A login goes to the registry itself, and to its token service only where
    that is the registry's own.
    """

    def __init__(
        self,
        host: str,
        login: Callable[[], Login | None],
        pools: Pools,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._login = login
        self._pools = pools
        self._now = now
        self._lock = threading.Lock()
        self._tokens: dict[str, _Token] = {}
        self._challenge: Challenge | None = None
        self.origin = ""
        """Where the login that was sent came from; empty as long as none was."""

    def header(self, scope: str) -> str | None:
        """Give the header to send; None as long as nothing was asked for."""
        with self._lock:
            if self._challenge is None:
                return None
            token = self._tokens.get(scope)
            if token is None or self._now() >= token.until:
                token = self._tokens[scope] = self._fetch(self._challenge, scope)
            return token.header

    def refused(self, header: str, scope: str, sent: str | None) -> bool:
        """Hear that a request with the header `sent` was refused; say whether to try again."""
        challenge = Challenge.parse(header)
        if challenge.scheme not in ("basic", "bearer"):
            return False
        with self._lock:
            self._challenge = challenge
            token = self._tokens.get(scope)
            if token is not None and token.header == sent:
                del self._tokens[scope]
            return sent is None or challenge.scheme == "bearer"

    def _fetch(self, challenge: Challenge, scope: str) -> _Token:
        login = self._login()
        self.origin = login.origin if login else ""
        if challenge.scheme == "basic":
            if login is None:
                message = f"{self._host} wants a login and none is stored; use `docker login`"
                raise Auth(message, op="log in")
            return _Token(_basic(login), float("inf"))
        return self._fetch_token(challenge.parameters, scope, login)

    def _fetch_token(
        self, parameters: Mapping[str, str], scope: str, login: Login | None
    ) -> _Token:
        realm = parameters.get("realm", "")
        if login is not None and not may_have_login(self._host, realm):
            message = (
                f"{self._host} sends logins to {realm!r}, which is not its own; "
                "log out of it to go on anonymously"
            )
            raise Auth(message, op="log in")
        fields = {"service": parameters.get("service", ""), "scope": scope}
        start = self._now()
        answer = self._ask(realm, fields, login)
        token = answer.get("token") or answer.get("access_token")
        if not isinstance(token, str):
            raise Auth(f"the token service of {self._host} gave no token", op="log in")
        life = answer.get("expires_in")
        seconds = float(life) if isinstance(life, int | float) and life > 0 else _DEFAULT_LIFE
        return _Token(f"Bearer {token}", start + seconds * _MARGIN)

    def _ask(self, realm: str, fields: dict[str, str], login: Login | None) -> dict[str, Any]:
        if origin(realm)[0] not in PORTS:
            message = f"{self._host} says that its token service is at {realm!r}, which is no URL"
            raise BackendError(message, op="log in")
        try:
            response = self._send(realm, fields, login)
            body = response.read(_MAX_ANSWER)
            response.drain_conn()
        except HTTPError as error:
            message = f"the token service of {self._host} cannot be asked: {reason(error)}"
            raise BackendError(message, op="log in", temporary=True) from error
        if response.status != _OK:
            raise _refused(self._host, response.status, self.origin)
        try:
            answer = json.loads(body)
        except ValueError as error:
            message = f"the token service of {self._host} did not answer in JSON"
            raise Auth(message, op="log in") from error
        return answer if isinstance(answer, dict) else {}

    def _send(self, realm: str, fields: dict[str, str], login: Login | None) -> BaseHTTPResponse:
        if login is not None and login.identity_token:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": login.identity_token,
                "client_id": "cachexport",
                **fields,
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return self._pools.request("POST", realm, headers, body=urlencode(form))
        headers = {} if login is None else {"Authorization": _basic(login)}
        # A form has several scopes in one field; a query has a field for each.
        query = urlencode({**fields, "scope": fields["scope"].split()}, doseq=True)
        joint = "&" if urlsplit(realm).query else "?"
        return self._pools.request("GET", f"{realm}{joint}{query}", headers)


def may_have_login(host: str, realm: str) -> bool:
    """Say whether a registry's token service may be given the login for that registry.

    It may on the same host, and over TLS on one of the same registered domain: a registry that
    was broken into cannot send logins elsewhere, nor to another customer of the same cloud.
    """
    _, name, _ = origin(f"//{host}")
    scheme, there, _ = origin(realm)
    if not name or scheme not in ("http", "https"):
        return False
    if scheme == "http":
        return there == name and is_loopback(name)
    return there == name or domain(there) == domain(name)


def _basic(login: Login) -> str:
    pair = f"{login.username}:{login.password}".encode()
    return "Basic " + base64.b64encode(pair).decode()


def _refused(host: str, status: int, login: str) -> BackendError:
    message = f"the token service of {host} answered {status}"
    if status in (400, 401, 403, 404):
        hint = f"check the login from {login}; `docker login {host}` renews it"
        return Auth(f"{message}; {hint if login else 'log in with `docker login`'}", op="log in")
    return BackendError(message, op="log in", temporary=status == 429 or status >= 500)
