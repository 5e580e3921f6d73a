"""Logins for registries, from where docker and podman keep them."""

from __future__ import annotations

import base64
import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.errors import Auth

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from docker.auth import AuthConfig

_RUN = "/run"


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks. With an `identity_token` there is no password. Its text shows no secret."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    origin: str = field(default="", compare=False)
    """Where it was found, for messages."""


def find_login(host: str, env: Mapping[str, str]) -> Login | None:
    """Find the login for a registry, None for an anonymous one.

    `host` is the one in references, with its port. Looked through, in this order, are
    `$DOCKER_AUTH_CONFIG`, which is a config.json itself, `$REGISTRY_AUTH_FILE`,
    `$DOCKER_CONFIG/config.json` or `~/.docker/config.json` with its `credHelpers` and
    `credsStore` (their programs are found on the process's `$PATH`), then podman's `auth.json`.
    Raises Auth when any of them cannot be read or a helper program fails: a login that was meant
    and cannot be read is no anonymous one.
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
    # Where podman and skopeo log in where nobody has set that, as in containers.
    yield Path(_RUN) / "containers" / str(os.getuid()) / "auth.json"
    yield Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "containers" / "auth.json"


def _home(env: Mapping[str, str]) -> Path:
    """Give the user's home; for one who has none, where no file can be."""
    try:
        return Path(env.get("HOME") or Path.home())
    except RuntimeError:
        return Path(os.devnull)


def _from_variable(text: str, host: str, env: Mapping[str, str]) -> Login | None:
    if not text.strip():
        return None
    try:
        return _read(text.encode(), host, env, "$DOCKER_AUTH_CONFIG")
    except _Unreadable:
        problem = "it is no config.json with logins, or the helper that it names fails"
    # Outside the block, so that no traceback shows what is in the variable.
    message = f"cannot read a login for {host} from $DOCKER_AUTH_CONFIG: {problem}"
    raise Auth(message, op="log in")


def _from_file(path: Path, host: str, env: Mapping[str, str]) -> Login | None:
    try:
        return _read(path.read_bytes(), host, env, str(path))
    except (OSError, _Unreadable) as error:
        raise Auth(f"cannot read a login for {host} from {path}: {error}", op="log in") from error


class _Unreadable(Exception):
    """A config.json that cannot be made out; the text says why."""


def _read(raw: bytes, host: str, env: Mapping[str, str], place: str) -> Login | None:
    """Find the login for a host in a config.json, which is at `place`. Raises _Unreadable."""
    from docker.errors import DockerException

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a helper that is not installed is an error below
            config = _load(raw, env)
            found = config.resolve_authconfig(host) or {}
    except (OSError, ValueError) as error:
        raise _Unreadable(str(error)) from error
    except DockerException as error:
        told = error.__cause__ or error
        if told.__cause__ is None:
            raise _Unreadable(str(told)) from error
        # What a helper printed may be a secret.
        raise _Unreadable("the credential helper that it names failed") from None
    except (AttributeError, TypeError) as error:
        # docker's library does not look at the types of what it reads.
        raise _Unreadable("something in it is not of the right type") from error
    # docker's library gives the keys of a helper's answer in another case than those of a file.
    if found.keys() & {"Username", "IdentityToken"}:
        helper = f"docker-credential-{config.get_credential_store(host)}"
        place = f"the credential helper {helper} that {place} names"
    values = {key.lower(): value for key, value in found.items() if value}
    if not values.keys() & {"username", "identitytoken"}:
        return None
    return Login(
        username=values.get("username", ""),
        password=values.get("password", ""),
        identity_token=values.get("identitytoken", ""),
        origin=place,
    )


def _load(raw: bytes, env: Mapping[str, str]) -> AuthConfig:
    import json

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
    """Write a login down as docker does, where it is there in plain, as in Kubernetes."""
    if not entry.get("auth") and entry.get("username") and entry.get("password"):
        pair = f"{entry['username']}:{entry['password']}"
        entry["auth"] = base64.b64encode(pair.encode()).decode()
