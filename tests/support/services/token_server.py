"""The service that a registry with tokens sends its clients to."""

from __future__ import annotations

import time
from base64 import b64encode
from contextlib import contextmanager
from dataclasses import dataclass
from ssl import PEM_cert_to_DER_cert
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import jwt

from support.services.http_server import Server, serving
from support.services.logins import decode_basic
from support.services.messages import Refusal, json_reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from support.services.http_server import Handler
    from support.services.logins import Login
    from support.services.messages import Reply
    from support.services.tls import Authority

ISSUER, SERVICE = "cachexport-tests", "cachexport-registry"
Form = dict[str, list[str]]
LEEWAY = 60  # seconds for which the registry takes an expired token


@dataclass(frozen=True)
class TokenRequest:
    """What one client asked for, and as whom: `secret` is a password or an identity token."""

    method: str
    scopes: tuple[str, ...]
    name: str | None
    secret: str | None


class TokenServer:
    """Gives ES256 tokens for what a login may do, by GET (`token`) and POST (`access_token`).

    `lifetime` is how long a registry takes a token, in seconds; `announced` is what the client is
    told, or not with None. Who gives no credentials may do what is in `anonymous`. In the
    repositories in `closed` nobody may do anything. The next `failing` requests are answered 503.
    """

    def __init__(self, authority: Authority, logins: Sequence[Login]) -> None:
        self.bundle = authority.bundle
        self.logins = logins
        self.anonymous: frozenset[str] = frozenset()
        self.lifetime: float = 300
        self.announced: int | None = 300
        self.closed: frozenset[str] = frozenset()
        self.failing = 0
        self.requests: list[TokenRequest] = []
        self.given: list[str] = []
        self.server = Server(lambda handler: handler.send(self._answer(handler)))
        certificate = authority.issue()
        self._key = certificate.key.read_text()
        self._chain = b64encode(PEM_cert_to_DER_cert(certificate.chain.read_text())).decode()

    @property
    def url(self) -> str:
        return f"{self.server.url}/token"

    def token(self, scopes: Sequence[str], actions: frozenset[str], lifetime: float) -> str:
        """Make a token as the server would, for these scopes as far as the actions allow."""
        now = time.time()
        claims = {
            "iss": ISSUER,
            "aud": SERVICE,
            "nbf": int(now) - 600,
            "exp": int(now - LEEWAY + lifetime),
            "jti": uuid4().hex,
            "access": [_granted(scope, actions, self.closed) for scope in scopes],
        }
        return jwt.encode(claims, self._key, "ES256", headers={"x5c": [self._chain]})

    def _answer(self, handler: Handler) -> Reply:
        if handler.command == "POST":
            return self._post(parse_qs(handler.read().decode()))
        query = parse_qs(urlsplit(handler.path).query)
        return self._get(query, handler.headers.get("Authorization", ""))

    def _get(self, query: Form, authorization: str) -> Reply:
        name, secret = decode_basic(authorization) or (None, None)
        actions = self.anonymous if name is None else self._allowed(name, secret)
        return self._reply("token", TokenRequest("GET", _scopes(query), name, secret), actions)

    def _post(self, form: Form) -> Reply:
        """Answer OAuth2's form, with a password or with an identity token."""
        name, secret = _first(form, "username"), _first(form, "password")
        if _first(form, "grant_type") == "refresh_token":
            name, secret = None, _first(form, "refresh_token")
        asked = TokenRequest("POST", _scopes(form), name, secret)
        return self._reply("access_token", asked, self._allowed(name, secret))

    def _reply(self, field: str, asked: TokenRequest, actions: frozenset[str] | None) -> Reply:
        self.requests.append(asked)
        if self.failing:
            self.failing -= 1
            return Refusal(503, "UNAVAILABLE", "too busy").reply()
        if actions is None:
            return Refusal(401, "UNAUTHORIZED", "bad credentials").reply()
        told = {"expires_in": self.announced} if self.announced is not None else {}
        self.given.append(self.token(asked.scopes, actions, self.lifetime))
        return json_reply({field: self.given[-1], **told})

    def _allowed(self, name: str | None, secret: str | None) -> frozenset[str] | None:
        """Give what may be done, None with a wrong secret; an identity token needs no name."""
        for login in self.logins:
            known = {(login.name, login.password), (None, login.identity_token)}
            if secret is not None and (name, secret) in known:
                return login.actions
        return None


@contextmanager
def running_token_server(authority: Authority, logins: Sequence[Login]) -> Iterator[TokenServer]:
    tokens = TokenServer(authority, logins)
    with serving(tokens.server):
        yield tokens


def _granted(scope: str, actions: frozenset[str], closed: frozenset[str]) -> dict[str, object]:
    """Parse type:name:actions, where the name may have a port, and keep what is allowed."""
    kind, _, rest = scope.partition(":")
    name, _, wanted = rest.rpartition(":")
    granted = [a for a in wanted.split(",") if a in actions and name not in closed]
    return {"type": kind, "name": name, "actions": granted}


def _first(form: Form, name: str) -> str | None:
    return form.get(name, [""])[0] or None


def _scopes(form: Form) -> tuple[str, ...]:
    """Give all scopes, of several parameters or of one with spaces."""
    return tuple(" ".join(form.get("scope", [])).split())
