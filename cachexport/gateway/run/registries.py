"""Telling buildah and podman that one registry has no TLS, and no other."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VARIABLE = "CONTAINERS_REGISTRIES_CONF"


def with_insecure(host: str, env: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Write a registries.conf like the one in use, and `host` in it; give what names it."""
    path = folder / "registries.conf"
    path.write_text("".join([*(own.read_text() for own in _in_use(env)), _table(host)]))
    return {VARIABLE: str(path)}


def as_script(host: str, env: Mapping[str, str]) -> list[str]:
    """Give lines of a shell that do the same."""
    files = shlex.join(["cat", *map(str, _in_use(env)), "-"])
    begin = [f'export {VARIABLE}="$(mktemp)"', f"{files} >\"${VARIABLE}\" <<'END'"]
    return [*begin, *_table(host).splitlines(), "END"]


def _table(host: str) -> str:
    # The file before it may lack the end of its last line.
    return f'\n[[registry]]\nlocation = "{host}"\ninsecure = true\n'


def _in_use(env: Mapping[str, str]) -> list[Path]:
    """Give the one file that counts, if there is one."""
    return [path for path in _paths(env) if path.is_file()][:1]


def _paths(env: Mapping[str, str]) -> Iterator[Path]:
    if VARIABLE in env:
        yield Path(env[VARIABLE])
    if "HOME" in env:
        config = env.get("XDG_CONFIG_HOME") or f"{env['HOME']}/.config"
        yield Path(config, "containers", "registries.conf")
    yield Path("/etc/containers/registries.conf")
