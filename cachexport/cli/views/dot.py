"""A cache's graph in Graphviz's language."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.cli.views.names import counted, instant, short
from cachexport.contract.units import (
    readable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.insight.inspect import Inspection, Record


def dot_lines(inspections: Sequence[Inspection]) -> Iterator[str]:
    """Give one graph of all caches: an arrow from each record to those that it is an input of.

    Arrows are dashed where an input has alternatives, and tell the selector and, where there
    are several inputs, the number of the input. A record with results is filled.
    """
    yield "digraph cache {"
    yield '  node [shape=box, fontname="monospace", fontsize=10];'
    yield '  edge [fontname="monospace", fontsize=8];'
    for number, inspection in enumerate(inspections):
        # Several caches can have the same record, so a digest is no name for a node.
        yield from _graph(inspection, f"c{number}r")
    yield "}"


def _graph(inspection: Inspection, prefix: str) -> Iterator[str]:
    for number, record in enumerate(inspection.records):
        yield f"  {prefix}{number} [{_node(record, inspection)}];"
    for number, record in enumerate(inspection.records):
        yield from (f"  {prefix}{link}" for link in _edges(record, f"{prefix}{number}"))


def _node(record: Record, inspection: Inspection) -> str:
    newest = record.newest
    if newest is None:
        return f"label={_quoted(short(record.digest))}"
    size = None if newest.top is None else inspection.layers[newest.top].size
    about = "" if size is None else f", {readable(size)}"
    layers = counted(newest.depth, "layer") + about
    label = f"{short(record.digest)}\n{layers}\n{instant(newest.created_at)}"
    return f'label={_quoted(label)}, style=filled, fillcolor="lightblue"'


def _edges(record: Record, target: str) -> Iterator[str]:
    for index, links in enumerate(record.inputs):
        position = str(index) if len(record.inputs) > 1 else ""
        for link in links:
            label = " ".join(part for part in (position, short(link.selector)) if part)
            style = ", style=dashed" if len(links) > 1 else ""
            yield f"{link.link} -> {target} [label={_quoted(label)}{style}];"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
