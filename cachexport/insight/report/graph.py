"""The graph of one cache as the page's script takes it: texts and places, nothing to work out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from cachexport.contract.units import (
    readable,
)
from cachexport.insight.report.lanes import lay_out
from cachexport.insight.report.words import age, counted, instant, short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cachexport.insight.inspect import Inspection, Record
    from cachexport.insight.usage import RecordUsage, Usage
    from cachexport.oci.timestamp import Timestamp

MOST = 4_000
"""Records beyond which a browser gets slow and a drawing says nothing."""
_HUB = 24
"""Records that read from one, beyond which lines to them all would hide the rest."""


def graph_data(
    name: int, inspection: Inspection, usage: Usage, now: Timestamp | None
) -> dict[str, Any] | None:
    """Give nodes and edges; None when they are too many. `name` is the position in the usage."""
    records = inspection.records
    if len(records) > MOST:
        return None
    parents = [_parents(record) for record in records]
    lanes = lay_out(parents)
    # Top down, column by column: the order in which a page is read.
    order = sorted(range(len(records)), key=lanes.places.__getitem__)
    drawn = {number: position for position, number in enumerate(order)}
    needs = {item.record: item for item in usage.records if item.name == name}
    children = Counter(parent for some in parents for parent in set(some))
    return {
        "hubs": any(count > _HUB for count in children.values()),
        "columns": lanes.columns,
        "rows": lanes.rows,
        "nodes": [
            {
                "column": lanes.places[number][0],
                "row": lanes.places[number][1],
                **_node(records[number], inspection, needs.get(number), children[number], now),
            }
            for number in order
        ],
        "edges": [
            (drawn[parent], drawn[number], kind)
            for parent, number, kind in _edges(inspection, lanes.places, children)
        ],
    }


def _parents(record: Record) -> list[int]:
    return [link.link for links in record.inputs for link in links]


def _node(
    record: Record,
    inspection: Inspection,
    need: RecordUsage | None,
    children: int,
    now: Timestamp | None,
) -> dict[str, Any]:
    facts = [("Digest", record.digest)]
    newest = record.newest
    note = ""
    if newest is not None and need is not None:
        layer = None if newest.top is None else inspection.layers[newest.top]
        note = f"{counted(newest.depth, 'layer')}, {readable(need.size)}"
        facts += [
            ("Step", layer.description if layer else ""),
            ("Made", instant(newest.created_at)),
            ("Age", age(newest.created_at, now)),
            ("Layers", f"{newest.depth:,}, {readable(need.size)}"),
            ("Without it", f"{readable(need.unique)} would be freed"),
            ("Results", f"{len(record.results):,}" if len(record.results) > 1 else ""),
        ]
    else:
        facts.append(("Result", "none: it only stands for what others depend on"))
    facts += [
        ("Depends on", _inputs(record)),
        ("Read by", counted(children, "record") if children else "no record: it is an end"),
    ]
    return {
        "title": short(record.digest),
        "note": note,
        "kind": "result" if note else "plain",
        "facts": [fact for fact in facts if fact[1]],
    }


def _inputs(record: Record) -> str:
    if not record.inputs:
        return "nothing: it is a root"
    choices = sum(len(links) > 1 for links in record.inputs)
    some = f", {choices:,} with alternatives" if choices else ""
    return counted(len(record.inputs), "input") + some


def _edges(
    inspection: Inspection, places: tuple[tuple[int, int], ...], children: Counter[int]
) -> Iterator[tuple[int, int, str]]:
    """Give each pair of records once: what is read, what reads it, and how to draw the line."""
    for number, record in enumerate(inspection.records):
        seen: dict[int, str] = {}
        for links in record.inputs:
            kind = "alternative" if len({link.link for link in links}) > 1 else "main"
            for link in links:
                seen.setdefault(link.link, kind)
        for parent, kind in seen.items():
            is_hidden = children[parent] > _HUB and _is_far(places[parent], places[number])
            yield parent, number, "hub" if is_hidden else kind


def _is_far(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return other[0] - one[0] > 1 or abs(other[1] - one[1]) > _HUB
