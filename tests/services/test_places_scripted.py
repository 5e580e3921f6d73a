"""Registries that give their tags in pages, each in its own way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import caches
from support.services.exports import hasten
from support.services.push import push_layout
from support.services.scripted.faults import Fault

from cachexport import list_names
from cachexport.errors import BackendError

if TYPE_CHECKING:
    from pathlib import Path

    from support.services.scripted import ScriptedRegistry

TAGS = [f"t{number}" for number in range(5)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scripted: ScriptedRegistry) -> None:
    hasten(monkeypatch, tmp_path)
    for tag in TAGS:
        push_layout(scripted.url, "a/b", tag, caches.FOLDER / "min")


def names(registry: ScriptedRegistry) -> list[str]:
    return sorted(item.name for item in list_names(f"{registry.host}/a/b"))


@pytest.mark.parametrize("path", ["", "/v2/a/b/tags/", "{url}/v2/a/b/tags/"])
def test_all_pages_are_read_wherever_they_are(scripted: ScriptedRegistry, path: str) -> None:
    link = f'<{path.format(url=scripted.url)}list?n=2&last=>; rel="next"'
    page = Fault(headers={"Link": link}, body=b'{"name":"a/b","tags":["t0"]}', status=200)
    scripted.on("GET", "/v2/a/b/tags/list", page, times=1)
    assert names(scripted) == TAGS


def test_a_list_of_tags_without_an_end(scripted: ScriptedRegistry) -> None:
    link = '</v2/a/b/tags/list?last=t4>; rel="next"'
    scripted.on("GET", "/v2/a/b/tags/list", Fault(headers={"Link": link}), times=None)
    with pytest.raises(BackendError, match="no end"):
        names(scripted)
