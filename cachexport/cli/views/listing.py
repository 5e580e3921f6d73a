"""The names of a place, as a table and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cachexport.cli.amounts import readable_span
from cachexport.cli.console import in_line
from cachexport.cli.views.columns import aligned
from cachexport.contract.units import (
    readable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.upkeep.names import NamedCache

_HEADINGS = ("NAME", "AGE", "SIZE", "RECORDS", "LAYERS", "KIND", "FAULT")
_RIGHT = {"AGE", "SIZE", "RECORDS", "LAYERS"}


def table_lines(found: Sequence[NamedCache], now: float, width: int | None) -> Iterator[str]:
    """Give a line for each name; `now` is in seconds since 1970."""
    yield from aligned([_HEADINGS, *(_row(item, now) for item in found)], _RIGHT, width)


def document_lines(found: Sequence[NamedCache]) -> Iterator[str]:
    """Give everything, as JSON."""
    yield json.dumps({"names": [_name(item) for item in found]}, indent=2)


def age(time: float | None, now: float) -> str:
    """Say how long ago something was; `-` where nobody knows."""
    return "-" if time is None else readable_span(now - time)


def _row(item: NamedCache, now: float) -> tuple[str, ...]:
    is_cache = item.kind not in ("image", "none", "damaged")
    return (
        in_line(item.name),
        age(item.time, now),
        readable(item.size) if not item.fault else "-",
        str(item.records) if is_cache else "-",
        str(item.layers) if is_cache else "-",
        item.kind,
        in_line(item.fault),
    )


def _name(item: NamedCache) -> dict[str, Any]:
    return {
        "name": item.name,
        "time": item.time,
        "kind": item.kind,
        "digest": item.digest,
        "size": item.size,
        "records": item.records,
        "layers": item.layers,
        "fault": item.fault or None,
    }
