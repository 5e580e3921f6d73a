"""Telling buildah and podman that one registry has no TLS, and no other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VARIABLE = "CONTAINERS_REGISTRIES_CONF"


def with_insecure(host: str, env: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Write a registries.conf like the one in use, and `host` in it; give what names it."""
    path = folder / "registries.conf"
    path.write_text(f'{_in_use(env)}\n[[registry]]\nlocation = "{host}"\ninsecure = true\n')
    return {VARIABLE: str(path)}


def _in_use(env: Mapping[str, str]) -> str:
    for path in _paths(env):
        if path.is_file():
            return path.read_text()
    return ""


def _paths(env: Mapping[str, str]) -> Iterator[Path]:
    if VARIABLE in env:
        yield Path(env[VARIABLE])
    if "HOME" in env:
        config = env.get("XDG_CONFIG_HOME") or f"{env['HOME']}/.config"
        yield Path(config, "containers", "registries.conf")
    yield Path("/etc/containers/registries.conf")
