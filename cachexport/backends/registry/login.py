"""Logins for registries: finding those of docker and podman, and answering challenges."""

from __future__ import annotations

import base64
import json
import os
import re
import threading
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from urllib3.exceptions import HTTPError

from cachexport.backends.registry.connections import PORTS, domain, is_loopback, origin
from cachexport.backends.registry.errors import reason
from cachexport.content.clock import clock
from cachexport.errors import Auth, BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from docker.auth import AuthConfig
    from urllib3.response import BaseHTTPResponse

    from cachexport.backends.registry.connections import Pools


@dataclass(frozen=True, slots=True)
class StoredLogin:
    """A login for one registry. With an `identity_token` there is no password.

    Its `repr` shows no secret.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    origin: str = field(default="", compare=False)
    """Where it was found, for messages."""


def find_login(host: str, env: Mapping[str, str]) -> StoredLogin | None:
    """Find the login for a registry, None for an anonymous one.

    `host` is the one in references, with its port. These are searched in this order:
    `$DOCKER_AUTH_CONFIG`, which has a whole config.json; `$REGISTRY_AUTH_FILE`;
    `$DOCKER_CONFIG/config.json` or `~/.docker/config.json` with its `credHelpers` and
    `credsStore` (their programs are found on the process's `$PATH`); podman's `auth.json`.
    Raises Auth when any of them cannot be read or a helper program fails: to go on anonymously
    would hide the mistake.
    """
    login = _from_variable(env.get("DOCKER_AUTH_CONFIG", ""), host, env)
    if login is not None:
        return login
    for path in _files(env):
        if path.is_file():
            login = _from_file(path, host, env)
            if login is not None:
                return login
    return None


def _files(env: Mapping[str, str]) -> Iterator[Path]:
    home = _home(env)
    if env.get("REGISTRY_AUTH_FILE"):
        yield Path(env["REGISTRY_AUTH_FILE"])
    yield Path(env.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    if env.get("XDG_RUNTIME_DIR"):
        yield Path(env["XDG_RUNTIME_DIR"]) / "containers" / "auth.json"
    # podman and skopeo use this where $XDG_RUNTIME_DIR is not set, as in containers.
    yield Path("/run") / "containers" / str(os.getuid()) / "auth.json"
    yield Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "containers" / "auth.json"


def _home(env: Mapping[str, str]) -> Path:
    """Give the user's home; for a user who has none, a path without files."""
    try:
        return Path(env.get("HOME") or Path.home())
    except RuntimeError:
        return Path(os.devnull)


def _from_variable(text: str, host: str, env: Mapping[str, str]) -> StoredLogin | None:
    if not text.strip():
        return None
    try:
        return _read(text.encode(), host, env, "$DOCKER_AUTH_CONFIG")
    except _Unreadable:
        problem = "it is no config.json with logins, or the helper that it names fails"
    # Raised outside the block, so that no traceback shows the variable's content.
    message = f"cannot read a login for {host} from $DOCKER_AUTH_CONFIG: {problem}"
    raise Auth(message, op="log in")


def _from_file(path: Path, host: str, env: Mapping[str, str]) -> StoredLogin | None:
    try:
        return _read(path.read_bytes(), host, env, str(path))
    except (OSError, _Unreadable) as error:
        raise Auth(f"cannot read a login for {host} from {path}: {error}", op="log in") from error


class _Unreadable(Exception):
    """A config.json that cannot be read; the text says why."""


def _read(raw: bytes, host: str, env: Mapping[str, str], place: str) -> StoredLogin | None:
    """Find the login for a host in a config.json that came from `place`. Raises _Unreadable."""
    from docker.errors import DockerException

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a helper that is not installed is an error below
            config = _load(raw, env)
            found = config.resolve_authconfig(host) or {}
    except (OSError, ValueError) as error:
        raise _Unreadable(str(error)) from error
    except DockerException as error:
        problem = error.__cause__ or error
        if problem.__cause__ is None:
            raise _Unreadable(str(problem)) from error
        # The helper's output may have a secret in it.
        raise _Unreadable("the credential helper that it names failed") from None
    except (AttributeError, TypeError) as error:
        # docker's library does not check the types of values.
        raise _Unreadable("something in it is not of the right type") from error
    # docker's library spells the keys of a helper's answer in another case than a file's.
    if found.keys() & {"Username", "IdentityToken"}:
        helper = f"docker-credential-{config.get_credential_store(host)}"
        place = f"the credential helper {helper} that {place} names"
    values = {key.lower(): value for key, value in found.items() if value}
    if not values.keys() & {"username", "identitytoken"}:
        return None
    return StoredLogin(
        username=values.get("username", ""),
        password=values.get("password", ""),
        identity_token=values.get("identitytoken", ""),
        origin=place,
    )


def _load(raw: bytes, env: Mapping[str, str]) -> AuthConfig:
    from docker.auth import AuthConfig, load_config

    content = json.loads(raw)
    if not isinstance(content, dict):
        raise ValueError("it is no JSON object")
    if not content.keys() & {"auths", "credsStore", "credHelpers"}:
        return AuthConfig({})
    for entry in (content.get("auths") or {}).values():
        _complete(entry)
    return load_config(config_dict=content, credstore_env=dict(env))


def _complete(entry: dict[str, str]) -> None:
    """Encode a login that is there in plain, as in Kubernetes, the way docker does."""
    if not entry.get("auth") and entry.get("username") and entry.get("password"):
        pair = f"{entry['username']}:{entry['password']}"
        entry["auth"] = base64.b64encode(pair.encode()).decode()


_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_DEFAULT_LIFE = 60.0
"""Seconds that a token is good for if the answer does not say, by the specification."""
_MAX_ANSWER = 1 << 20
"""Bytes of an answer that are read."""
_OK = 200
_MARGIN = 0.9
"""Part of its time after which a token is no longer sent."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """A `WWW-Authenticate` header."""

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
    """Gives the Authorization header for each request to one registry. Threads may share it.

    A token is fetched when the registry asks for one, once for all threads that wait for it, and
    used per scope until shortly before it expires. A scope is one of the specification's, or
    several with spaces between them. The login goes to the registry, and to its token service
    only where `may_have_login` allows.
    """

    def __init__(
        self,
        host: str,
        login: Callable[[], StoredLogin | None],
        pools: Pools,
    ) -> None:
        self._host = host
        self._login = login
        self._pools = pools
        self._lock = threading.Lock()
        self._tokens: dict[str, _Token] = {}
        self._challenge: Challenge | None = None
        self.origin = ""
        """Where the login came from that was sent; empty until one is sent."""

    def header(self, scope: str) -> str | None:
        """Give the header to send; None before the registry has asked for one.

        Raises Auth or BackendError.
        """
        with self._lock:
            if self._challenge is None:
                return None
            token = self._tokens.get(scope)
            if token is None or clock().monotonic() >= token.until:
                token = self._tokens[scope] = self._fetch(self._challenge, scope)
            return token.header

    def refused(self, header: str, scope: str, sent: str | None) -> bool:
        """Take note that a request with the header `sent` was refused for `header`, its challenge.

        Says whether to send the request again with another header.
        """
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
        self, parameters: Mapping[str, str], scope: str, login: StoredLogin | None
    ) -> _Token:
        realm = parameters.get("realm", "")
        if login is not None and not may_have_login(self._host, realm):
            message = (
                f"{self._host} sends logins to {realm!r}, which is not its own; "
                "log out of it to go on anonymously"
            )
            raise Auth(message, op="log in")
        fields = {"service": parameters.get("service", ""), "scope": scope}
        start = clock().monotonic()
        answer = self._ask(realm, fields, login)
        token = answer.get("token") or answer.get("access_token")
        if not isinstance(token, str):
            raise Auth(f"the token service of {self._host} gave no token", op="log in")
        life = answer.get("expires_in")
        seconds = float(life) if isinstance(life, int | float) and life > 0 else _DEFAULT_LIFE
        return _Token(f"Bearer {token}", start + seconds * _MARGIN)

    def _ask(self, realm: str, fields: dict[str, str], login: StoredLogin | None) -> dict[str, Any]:
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

    def _send(
        self, realm: str, fields: dict[str, str], login: StoredLogin | None
    ) -> BaseHTTPResponse:
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
        # Several scopes are one field of a form, but a field each in a query.
        query = urlencode({**fields, "scope": fields["scope"].split()}, doseq=True)
        joint = "&" if urlsplit(realm).query else "?"
        return self._pools.request("GET", f"{realm}{joint}{query}", headers)


def may_have_login(host: str, realm: str) -> bool:
    """Say whether the token service at `realm` may have the login for the registry `host`.

    It may on the same host, and over TLS on a host of the same registered domain. So a registry
    that was broken into cannot send logins elsewhere, nor to another customer of the same cloud.
    """
    _, name, _ = origin(f"//{host}")
    scheme, there, _ = origin(realm)
    if not name or scheme not in ("http", "https"):
        return False
    if scheme == "http":
        return there == name and is_loopback(name)
    return there == name or domain(there) == domain(name)


def _basic(login: StoredLogin) -> str:
    pair = f"{login.username}:{login.password}".encode()
    return "Basic " + base64.b64encode(pair).decode()


def _refused(host: str, status: int, login: str) -> BackendError:
    message = f"the token service of {host} answered {status}"
    if status in (400, 401, 403, 404):
        hint = f"check the login from {login}; `docker login {host}` renews it"
        return Auth(f"{message}; {hint if login else 'log in with `docker login`'}", op="log in")
    return BackendError(message, op="log in", temporary=status == 429 or status >= 500)
