"""Where each record of a graph is drawn: columns by depth, rows by lanes.

A lane is a straight run of records, each an input of the next. Where several records follow one,
the one that most others follow goes on in its lane, and each of the rest begins a lane of its own
in the nearest row that is free. So a graph of many builds looks like the log of many branches, and
the same graph always looks the same.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from cachexport.insight.forest import Forest

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """A column and a row for each record."""

    places: tuple[tuple[int, int], ...]
    columns: int
    rows: int


def lay_out(parents: Sequence[Sequence[int]]) -> Lanes:
    """Place records whose inputs are given; nothing recurses, and there may be no loops."""
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
    """Give the depth of each; what only feeds a deep record is drawn right before it."""
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
            # The last pushed is placed first: what branches off late stays near.
            pending += [(child, row) for child in forest.branches(number)]


class _Rows:
    """Which columns of which rows are taken."""

    def __init__(self) -> None:
        self._taken: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        self._tried: dict[tuple[int, int], int] = {}
        """How many rows around one are known to be taken at a column: thousands may start there."""

    def take(self, near: int, first: int, last: int) -> int:
        """Take columns, with a free one on either side, of the free row that is nearest."""
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
