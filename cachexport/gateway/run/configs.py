"""Configuration files for build tools: the gateway's login, and that it has no TLS.

The user's own files are read and never changed. Docker, buildx and buildctl look for logins in the
folder DOCKER_CONFIG, and for much else: plugins, contexts, builders. Buildah and podman read the
file REGISTRY_AUTH_FILE, or without it the first of several that knows the registry.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cachexport.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


_USER = "cachexport"
_CONFIG = "config.json"
_AUTHS = "auths"
_HELPERS = "credHelpers"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLogin:
    """The login of the command at its gateway."""

    host: str
    token: str

    def entry(self) -> dict[str, dict[str, str]]:
        """Give the entry for `auths` in a config.json."""
        pair = base64.b64encode(f"{_USER}:{self.token}".encode()).decode()
        return {self.host: {"auth": pair}}


def for_docker(
    login: GatewayLogin, words: Sequence[str], env: Mapping[str, str], folder: Path
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Make a DOCKER_CONFIG that is the user's with one more login.

    Gives the words of the command without a `--config` option, and the variables that name the new
    folder. Raises InvalidInputError for a config.json that cannot be read.
    """
    given, words = _taken(words, "--config")
    theirs = _docker_config(env, given)
    ours = folder / "docker"
    ours.mkdir(mode=0o700)
    for entry in sorted(theirs.iterdir()) if theirs.is_dir() else ():
        if entry.name != _CONFIG:
            (ours / entry.name).symlink_to(entry)
    config = _read_config(theirs / _CONFIG)
    config[_AUTHS] = {**_mapping(config, _AUTHS), **login.entry()}
    if "credsStore" in config:  # the store would be asked for our host too
        config[_HELPERS] = {**_mapping(config, _HELPERS), login.host: ""}
    _write_config(ours / _CONFIG, config)
    # Without a folder of its own yet, buildx would make one in ours, which is temporary.
    buildx = env.get("BUILDX_CONFIG") or str(theirs / "buildx")
    return words, {"DOCKER_CONFIG": str(ours), "BUILDX_CONFIG": buildx}


def for_containers(
    login: GatewayLogin, words: Sequence[str], env: Mapping[str, str], folder: Path
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Make a REGISTRY_AUTH_FILE of all the user's logins and one more; see `for_docker`."""
    given, words = _taken(words, "--authfile")
    named = given or env.get("REGISTRY_AUTH_FILE")
    config: dict[str, Any] = {_AUTHS: login.entry(), _HELPERS: {}}
    for path in [Path(named)] if named else _containers_files(env):
        found = _read_config(path)
        known = {*config[_AUTHS], *config[_HELPERS]}
        for kind in (_AUTHS, _HELPERS):
            new = {key: value for key, value in _mapping(found, kind).items() if key not in known}
            config[kind] |= new
    path = folder / "auth.json"
    _write_config(path, config)
    return words, {"REGISTRY_AUTH_FILE": str(path)}


def _docker_config(env: Mapping[str, str], given: str | None) -> Path:
    named = given or env.get("DOCKER_CONFIG")
    return Path(named).absolute() if named else _home(env) / ".docker"


def _containers_files(env: Mapping[str, str]) -> Iterator[Path]:
    """Give the files in which buildah and podman look for logins, in their order."""
    runtime = env.get("XDG_RUNTIME_DIR")
    folder = Path(runtime, "containers") if runtime else Path("/run/containers", str(os.getuid()))
    yield folder / "auth.json"
    yield Path(env.get("XDG_CONFIG_HOME") or _home(env) / ".config", "containers", "auth.json")
    yield _docker_config(env, None) / _CONFIG


def _home(env: Mapping[str, str]) -> Path:
    return Path(env.get("HOME") or "/")


def _taken(words: Sequence[str], option: str) -> tuple[str | None, tuple[str, ...]]:
    """Give the value of an option, None without one, and the words without it."""
    for at, word in enumerate(words):
        if word == option and at + 1 < len(words):
            return words[at + 1], (*words[:at], *words[at + 2 :])
        if word.startswith(f"{option}="):
            return word.partition("=")[2], (*words[:at], *words[at + 1 :])
    return None, tuple(words)


def _read_config(path: Path) -> dict[str, Any]:
    """Read a config.json; a missing one counts as empty. Raises InvalidInputError."""
    try:
        found = json.loads(path.read_bytes() or b"{}")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"cannot read the logins in {path}: {error}") from None
    if not isinstance(found, dict):
        raise InvalidInputError(f"cannot read the logins in {path}: it is no JSON object")
    return found


def _mapping(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = config.get(key) or {}
    return found if isinstance(found, dict) else {}


def _write_config(path: Path, config: Mapping[str, Any]) -> None:
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))


VARIABLE = "CONTAINERS_REGISTRIES_CONF"


def with_insecure(host: str, env: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Write a copy of the registries.conf in use in which `host` has no TLS.

    Gives the variable that names it. Buildah and podman then use TLS for all other registries.
    """
    path = folder / "registries.conf"
    path.write_text("".join([*(own.read_text() for own in _in_use(env)), _table(host)]))
    return {VARIABLE: str(path)}


def as_script(host: str, env: Mapping[str, str]) -> list[str]:
    """Give lines of a shell that do the same as `with_insecure`."""
    files = shlex.join(["cat", *map(str, _in_use(env)), "-"])
    begin = [f'export {VARIABLE}="$(mktemp)"', f"{files} >\"${VARIABLE}\" <<'END'"]
    return [*begin, *_table(host).splitlines(), "END"]


def _table(host: str) -> str:
    # It begins with a line break: the file before it may lack one at its end.
    return f'\n[[registry]]\nlocation = "{host}"\ninsecure = true\n'


def _in_use(env: Mapping[str, str]) -> list[Path]:
    """Give the one file that is used, if there is one."""
    return [path for path in _paths(env) if path.is_file()][:1]


def _paths(env: Mapping[str, str]) -> Iterator[Path]:
    if VARIABLE in env:
        yield Path(env[VARIABLE])
    if "HOME" in env:
        config = env.get("XDG_CONFIG_HOME") or f"{env['HOME']}/.config"
        yield Path(config, "containers", "registries.conf")
    yield Path("/etc/containers/registries.conf")
