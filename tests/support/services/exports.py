"""Caches to and from registries, without waiting and with the logins of the test alone."""

from __future__ import annotations

import base64
import json
import random
from typing import TYPE_CHECKING

from cachexport import (
    CacheChains,
    CacheResult,
    Descriptor,
    MemoryContent,
    Remote,
    copy_cache,
    export_cache,
)
from cachexport.content.progress import silent
from support import caches
from support.clock import wait_for_nothing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from cachexport.content.progress import Event
    from support.services.logins import Login

MIB = 1 << 20
MAX = f"type=local,src={caches.FOLDER / 'max'}"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


def hasten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Wait for nothing between tries, and have a home for the logins that a test makes."""
    wait_for_nothing()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def push(host: str, repo: str, attrs: str = "", source: str = MAX) -> None:
    copy_cache([source], [_spec(host, repo, attrs)])


def pull(host: str, repo: str, folder: Path, attrs: str = "") -> dict[str, bytes]:
    copy_cache([_spec(host, repo, attrs)], [f"type=local,dest={folder}"])
    return caches.files(folder)


def push_layers(
    host: str,
    repo: str,
    layers: list[bytes],
    attrs: str = "",
    progress: Callable[[Event], None] = silent,
) -> None:
    """Export a cache with a record for each of these layers."""
    chains, content = CacheChains(), MemoryContent(layers)
    for layer in layers:
        desc = Descriptor.of(layer, _LAYER)
        result = CacheResult("2026-11-22T08:00:00Z", Remote([desc], content))
        chains.add(desc.digest, results=[result])
    export_cache(chains, _spec(host, repo, attrs), progress=progress)


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def auth_config(host: str, login: Login) -> str:
    """Give a config.json."""
    pair = base64.b64encode(f"{login.name}:{login.password}".encode()).decode()
    return json.dumps({"auths": {host: {"auth": pair}}})


def log_in(tmp_path: Path, host: str, login: Login) -> None:
    config = tmp_path / "home" / ".docker" / "config.json"
    config.parent.mkdir(parents=True)
    config.write_text(auth_config(host, login))


def _spec(host: str, repo: str, attrs: str) -> str:
    return f"type=registry,ref={host}/{repo}:cache" + (attrs and f",{attrs}")
