"""What caches need, as tables and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cachexport.cli.console import in_line
from cachexport.cli.views.document import Line
from cachexport.cli.views.text import aligned, counted, short
from cachexport.contract.units import readable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cachexport.insight.usage import NameUsage, RecordUsage, Usage


def table_lines(usage: Usage, by: str, limit: int) -> Iterator[str]:
    """Give a table of names, layers or records, `limit` rows at most, and a line that sums up."""
    heading, rows = {"name": _names, "layer": _layers, "record": _records}[by](usage)
    shown = rows[: limit or None]
    if shown:
        yield from aligned([heading, *shown], _RIGHT)
    if len(shown) < len(rows):
        yield f"and {len(rows) - len(shown):,} more (--limit 0 shows all)"
    yield f"together {readable(usage.size)} in {counted(len(usage.layers), 'distinct blob')}"


_RIGHT = {"SIZE", "UNIQUE", "SHARED", "BLOBS", "RESULTS", "NAMES"}
_Row = tuple[str, ...]
_Table = tuple[_Row, list[_Row]]


def _names(usage: Usage) -> _Table:
    ordered = sorted(usage.names, key=lambda item: -item.size)
    rows: list[_Row] = [(*_bytes(item), f"{item.blobs:,}", in_line(item.name)) for item in ordered]
    return ("SIZE", "UNIQUE", "SHARED", "BLOBS", "NAME"), rows


def _layers(usage: Usage) -> _Table:
    rows: list[_Row] = [
        (
            readable(item.size),
            f"{item.results:,}",
            f"{len(item.names):,}",
            short(item.digest),
            in_line(item.description),
        )
        for item in usage.layers
    ]
    return ("SIZE", "RESULTS", "NAMES", "LAYER", "STEP"), rows


def _records(usage: Usage) -> _Table:
    names = [name.name for name in usage.names] if len(usage.names) > 1 else [""]
    rows: list[_Row] = [
        (*_bytes(item), short(item.digest), in_line(names[item.name])) for item in usage.records
    ]
    return ("SIZE", "UNIQUE", "SHARED", "RECORD", "NAME"), rows


def _bytes(item: NameUsage | RecordUsage) -> tuple[str, str, str]:
    return readable(item.size), readable(item.unique), readable(item.shared)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageDocument:
    """What caches need; sizes in bytes."""

    size: Annotated[int, Line("bytes of all distinct blobs")]
    names: tuple[NameUse, ...]
    layers: tuple[LayerUse, ...]
    records: tuple[RecordUse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NameUse:
    """Of UsageDocument."""

    name: str
    blobs: int
    size: int
    unique: int
    shared: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerUse:
    """Of UsageDocument."""

    digest: str
    size: int
    description: str
    results: int
    names: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordUse:
    """Of UsageDocument."""

    name: int
    record: int
    digest: str
    size: int
    unique: int
    shared: int
