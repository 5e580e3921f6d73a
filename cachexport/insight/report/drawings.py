"""The page's two drawings, as data for its script: the graph of a cache, and the bytes of all."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from cachexport.contract.units import (
    readable,
)
from cachexport.insight.forest import Forest
from cachexport.insight.report.words import age, counted, instant, short

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.insight.inspect import Inspection, Record
    from cachexport.insight.usage import LayerUsage, RecordUsage, Usage
    from cachexport.oci.timestamp import Timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """A column and a row for each record: columns by depth, rows by lanes.

    A lane is a straight run of records, each an input of the next. Where several records follow
    one, the one with most followers of its own continues the lane; each of the others begins a lane
    in the nearest free row. So a graph of many builds looks like a log of many branches, and the
    same graph always looks the same.
    """

    places: tuple[tuple[int, int], ...]
    columns: int
    rows: int


def lay_out(parents: Sequence[Sequence[int]]) -> Lanes:
    """Place records, given their parents, without loops. Nothing recurses."""
    forest = Forest(parents)
    columns = _columns(forest)
    rows = _Rows()
    places: dict[int, int] = {}
    for root in sorted(forest.trees(), key=lambda number: (-forest.weights[number], number)):
        _place_tree(root, forest, columns, rows, places)
    for number, child in forest.feeders():
        places[number] = rows.take(places[child] + 1, columns[number], columns[number])
    for number in forest.lone():
        places[number] = rows.take(0, columns[number], columns[number])
    top = min(places.values(), default=0)
    return Lanes(
        places=tuple((columns[number], places[number] - top) for number in range(len(parents))),
        columns=max(columns.values(), default=-1) + 1,
        rows=max(places.values(), default=-1) - top + 1,
    )


def _columns(forest: Forest) -> dict[int, int]:
    """Give the depth of each; a root that only feeds a deep record is drawn right before it."""
    columns = dict(forest.levels)
    for number, child in forest.feeders():
        columns[number] = forest.levels[child] - 1
    return columns


def _place_tree(
    root: int, forest: Forest, columns: dict[int, int], rows: _Rows, places: dict[int, int]
) -> None:
    pending = [(root, 0)]
    while pending:
        start, near = pending.pop()
        lane = list(forest.lane(start))
        row = rows.take(near, columns[start], columns[lane[-1]])
        for number in lane:
            places[number] = row
            # The last one pushed is placed first, so late branches stay near.
            pending += [(child, row) for child in forest.branches(number)]


class _Rows:
    """Which columns of which rows are taken."""

    def __init__(self) -> None:
        self._taken: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        self._tried: dict[tuple[int, int], int] = {}
        """How many rows around one are known to be taken at a column. Thousands may start there."""

    def take(self, near: int, first: int, last: int) -> int:
        """Take columns in the nearest row where they and their two neighbours are free."""
        known = self._tried.get((near, first), 0)
        row = next(
            row
            for row in (_outwards(near, step) for step in count(known))
            if self._is_free(row, first - 1, last + 1)
        )
        self._taken[row].append((first, last))
        while not self._is_free(_outwards(near, known), first, first):
            known += 1
        self._tried[near, first] = known
        return row

    def _is_free(self, row: int, first: int, last: int) -> bool:
        return all(last < begin or end < first for begin, end in self._taken[row])


def _outwards(middle: int, step: int) -> int:
    """Give the row itself, the one below, the one above, and so on."""
    distance = (step + 1) // 2
    return middle + distance if step % 2 else middle - distance


MOST_RECORDS = 4_000
"""Records beyond which a browser is slow and the drawing unreadable."""
_HUB = 24
"""Children of one record, beyond which lines to all of them would hide the rest."""


def graph_data(
    name: int, inspection: Inspection, usage: Usage, now: Timestamp | None
) -> dict[str, Any] | None:
    """Give nodes and edges; None when they are too many. `name` is a position in the usage."""
    records = inspection.records
    if len(records) > MOST_RECORDS:
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
    """Give each pair once: parent, child, and the kind of line between them."""
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


MOST_CELLS = 1_500
"""Cells that one can distinguish; smaller layers are summed up in one."""


def treemap_data(usage: Usage, most: int = MOST_CELLS) -> list[dict[str, Any]]:
    """Give groups of cells, the largest first.

    One cache is one group. Of several, each has a group, and one is for layers of more than one.
    """
    groups: dict[str, list[LayerUsage]] = {}
    for layer in usage.layers:
        groups.setdefault(_group(layer, usage), []).append(layer)
    drawn = {layer.digest for layer in usage.layers[:most]}
    data = [_group_data(title, layers, usage, drawn) for title, layers in groups.items()]
    return sorted(data, key=lambda group: (-group["bytes"], group["title"]))


def kind_of(layer: LayerUsage, usage: Usage) -> str:
    """Say who needs a layer: `unused`, `unique` or `shared`.

    Among several caches `shared` means by more than one of them, within one cache by more than one
    result.
    """
    if not layer.results:
        return "unused"
    several = len(layer.names) if len(usage.names) > 1 else layer.results
    return "shared" if several > 1 else "unique"


def _group(layer: LayerUsage, usage: Usage) -> str:
    if len(usage.names) == 1:
        return ""
    if len(layer.names) > 1:
        return "In several caches"
    return f"Only in {usage.names[layer.names[0]].name}"


def _group_data(
    title: str, layers: Sequence[LayerUsage], usage: Usage, drawn: set[str]
) -> dict[str, Any]:
    cells = [_cell(layer, usage) for layer in layers if layer.digest in drawn]
    rest = [layer for layer in layers if layer.digest not in drawn]
    if rest:
        cells.append(_rest(rest))
    size = sum(layer.size for layer in layers)
    return {"title": title, "note": readable(size), "bytes": size, "cells": cells}


def _cell(layer: LayerUsage, usage: Usage) -> dict[str, Any]:
    facts = [
        ("Digest", layer.digest),
        ("Step", layer.description),
        ("Size", f"{readable(layer.size)}, {layer.size / max(usage.size, 1):.1%} of all"),
        ("Needed by", counted(layer.results, "result")),
    ]
    if len(usage.names) > 1:
        facts.append(("In", "\n".join(usage.names[number].name for number in layer.names)))
    return {
        "title": layer.description or short(layer.digest),
        "note": readable(layer.size),
        "kind": kind_of(layer, usage),
        "bytes": layer.size,
        "facts": [fact for fact in facts if fact[1]],
    }


def _rest(layers: Sequence[LayerUsage]) -> dict[str, Any]:
    size = sum(layer.size for layer in layers)
    title = f"{counted(len(layers), 'smaller layer')}"
    return {
        "title": title,
        "note": readable(size),
        "kind": "rest",
        "bytes": size,
        "facts": [("Layers", f"{len(layers):,}"), ("Size", readable(size))],
    }
