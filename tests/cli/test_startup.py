"""What has to be quick."""

from __future__ import annotations

import resource

import pytest
from cli.commands import process

from cachexport import __version__

HEAVY = (
    "rich",
    "zstandard",
    "cachexport.api",
    "cachexport.chains",
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
