from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from cli.commands import InProcess, local
from support import caches

from cachexport import load_cache

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return shutil.copytree(caches.FOLDER / "max", tmp_path / "cache")


def test_a_dry_run_tells_and_writes_nothing(run: InProcess, cache: Path) -> None:
    before = caches.files(cache)
    ran = run("compact", local(cache), "--max-layers", "4", "--dry-run", "--progress", "quiet")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0].split() == ["BEFORE", "AFTER"]
    assert lines[3].split()[:2] == ["layers", "10"]
    assert int(lines[3].split()[2]) <= 4
    assert lines[8].startswith("would be dropped: ")
    assert lines[-1].startswith("made: 2026-")
    assert caches.files(cache) == before


def test_the_cache_is_replaced(run: InProcess, cache: Path) -> None:
    ran = run("compact", local(cache), "--max-config-bytes", "3KiB", "--format", "json")
    assert ran.code == 0
    told = json.loads(ran.out)
    [left] = load_cache(local(cache))
    assert told["written"] is True
    assert told["manifest"] == left.wrapped.descriptor.digest
    after = {"records": len(left.config.records), "layers": len(left.config.layers)}
    assert {key: told["after"][key] for key in after} == after
    assert max(told["after"]["config"], told["after"]["manifest"]) <= 3 << 10
    dropped = told["dropped"]
    gone = told["before"]["records"] - told["after"]["records"]
    assert dropped["covered"] + dropped["dead"] + dropped["old"] == gone
    assert dropped["oldest"] <= dropped["newest"]


def test_into_another_place(run: InProcess, cache: Path, tmp_path: Path) -> None:
    before = caches.files(cache)
    to = local(tmp_path / "small", "dest")
    assert run("compact", local(cache), "--max-layers", "2", "--to", to).code == 0
    [left] = load_cache(local(tmp_path / "small"))
    assert len(left.config.layers) == 2
    assert caches.files(cache) == before


def test_when_nothing_fits(run: InProcess, cache: Path) -> None:
    ran = run("compact", local(cache), "--max-config-bytes", "99")
    assert (ran.code, ran.out) == (70, "")
    assert "fits within 99 bytes" in ran.errors[0]
