"""The public names and their signatures change only when somebody means it."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
from public.surface import public_lines

COMMITTED = Path(__file__).with_name("api.txt")


def test_the_public_names_are_those_that_are_committed() -> None:
    committed = COMMITTED.read_text(encoding="utf-8").splitlines()
    changes = difflib.unified_diff(committed, public_lines(), "committed", "now", "", "", 0, "")
    changed = [line for line in changes if not line.startswith("@@")]
    if changed:
        pytest.fail(
            "\n".join(
                [
                    "The public side changed:",
                    *changed,
                    "If this is meant, run `python tests/public/surface.py > tests/public/api.txt`"
                    " and add a line to CHANGELOG.md.",
                ]
            ),
            pytrace=False,
        )
