"""What became of names that were repaired, as lines for people and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cachexport.cli.console import in_line, printable
from cachexport.cli.views.names import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.upkeep.repair import Repair

_COLOURS = {"sound": "green", "repaired": "yellow", "removed": "red", "damaged": "red"}
_TOLD = 10


def table_lines(found: Sequence[Repair], *, dry_run: bool) -> Iterator[str]:
    """Give for every name what became of it, or would, and what was wrong."""
    for item in found:
        outcome = click.style(f"{item.outcome:<8}", fg=_COLOURS[item.outcome])
        yield f"{outcome}  {in_line(item.name)}{_figures(item)}"
        for fault in item.faults[:_TOLD]:
            yield f"          {printable(fault)}"
        if len(item.faults) > _TOLD:
            yield f"          and {len(item.faults) - _TOLD:,} more faults"
    if dry_run:
        yield "nothing was changed; without --dry-run this is done"


def document_lines(found: Sequence[Repair]) -> Iterator[str]:
    """Give everything, as JSON."""
    yield json.dumps({"names": [asdict(item) for item in found]}, indent=2)


def _figures(item: Repair) -> str:
    figures = (
        (item.restored, "blob", "restored"),
        (item.lost_results, "result", "left out"),
        (item.lost_records, "record", "left out"),
    )
    told = [f"{counted(number, noun)} {verb}" for number, noun, verb in figures if number]
    return f": {', '.join(told)}" if told else ""
