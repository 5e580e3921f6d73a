"""What has to be quick."""

from __future__ import annotations

import resource

import pytest
from cli.commands import process
from support import caches

from cachexport import __version__

HEAVY = (
    "rich",
    "zstandard",
    "cachexport.api",
    "cachexport.model.chains",
    "asyncio",
    "jinja2",
    "pygments",
)


@pytest.mark.parametrize("args", [["--version"], ["--help"], ["export", "--help"], ["-h"]])
def test_nothing_heavy_is_imported(args: list[str]) -> None:
    ran = process(*args, python=("-X", "importtime"))
    imported = {line.rpartition("|")[2].strip() for line in ran.err.splitlines()}
    assert "click" in imported
    assert not {name for name in imported if name.startswith(HEAVY)}


LOGINS = ("docker", "requests", "publicsuffixlist")
CHANGES = (
    "zstandard",
    "jinja2",
    "cachexport.upkeep.",
    "cachexport.insight.",
    "cachexport.content.layers",
)
LIGHT = {"cachexport.contract.opening"}


def test_a_plain_push_imports_nothing_for_logins_and_changes() -> None:
    source, target = f"type=local,src={caches.FOLDER / 'max'}", "127.0.0.1:1/app:cache,retries=1"
    args = ("--cache-from", source, "--cache-to", f"type=registry,ref={target}")
    ran = process("export", *args, python=("-X", "importtime"))
    imported = {line.rpartition("|")[2].strip() for line in ran.err.splitlines()}
    assert "urllib3" in imported
    heavy = {name for name in imported if name.startswith((*LOGINS, *CHANGES))}
    assert heavy <= LIGHT


def test_what_is_far_away_is_asked_before_the_rest_is_imported() -> None:
    source, target = f"type=local,src={caches.FOLDER / 'max'}", "127.0.0.1:1/app:cache,retries=1"
    args = ("--cache-from", source, "--cache-to", f"type=registry,ref={target}")
    ran = process("export", *args, python=("-X", "importtime"))
    imported = [line.rpartition("|")[2].strip() for line in ran.err.splitlines()]
    assert imported.index("cachexport.backends.registry.target") < imported.index(
        "cachexport.model.chains"
    )


def test_quick() -> None:
    assert min(_seconds("--help") for _ in range(3)) < 0.15


def test_version() -> None:
    ran = process("--version")
    assert (ran.code, ran.out, ran.err) == (0, f"cachexport {__version__}\n", "")


def _seconds(*args: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process(*args)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
