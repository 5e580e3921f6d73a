"""A cache's graph as text: one line a record, what it depends on in the lines above or named.

A line of records goes straight down its column: each is an input of the next. Where several
follow one record, all but the one that most records follow are indented, so the text never gets
deeper than the logarithm of their number, however deep the graph is. A record with several
parents stands once, below the one furthest from the roots, and names its inputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.cli.sizes import readable
from cachexport.cli.views.names import counted, instant, short, title

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.cacheconfig import CacheInput
    from cachexport.maintenance.inspect import Inspection, Record

_MAX_ALTERNATIVES = 4


def tree_lines(inspections: Sequence[Inspection]) -> Iterator[str]:
    """Give the lines of every cache; `*` is a record with results, `o` one without."""
    yield "* record with a result, o without; #number; <- its inputs, | between alternatives"
    for number, inspection in enumerate(inspections, 1):
        yield ""
        if len(inspections) > 1:
            yield title(number, len(inspections))
        yield from _Forest(inspection).lines()


class _Forest:
    """Every record below one of its parents; none of this recurses, graphs are deep."""

    def __init__(self, inspection: Inspection) -> None:
        self._inspection = inspection
        self._records = inspection.records
        order = self._topological()
        self._owners = self._owned(order)
        self._below: dict[int, list[int]] = {}
        self._weights = [1] * len(order)
        for number in reversed(order):
            owner = self._owners.get(number)
            if owner is not None:
                self._weights[owner] += self._weights[number]
                self._below.setdefault(owner, []).append(number)
        for children in self._below.values():
            children.sort(key=self._rank)

    def lines(self) -> Iterator[str]:
        roots = [number for number in range(len(self._records)) if number not in self._owners]
        lone = [root for root in roots if root not in self._below]
        if lone:
            yield "no record stands below these:"
            yield from (f"  {self._line(root)}" for root in lone)
        for root in sorted((root for root in roots if root in self._below), key=self._rank):
            yield ""
            yield from self._tree(root)

    def _tree(self, root: int) -> Iterator[str]:
        pending = [(root, "", "")]
        while pending:
            number, column, branch = pending.pop()
            yield f"{branch or column}{self._line(number)}"
            *aside, heaviest = self._below.get(number) or [-1]
            if heaviest >= 0:
                pending.append((heaviest, column, ""))
            pending += [(child, f"{column}| ", f"{column}|-") for child in reversed(aside)]

    def _line(self, number: int) -> str:
        record = self._records[number]
        mark = "*" if record.results else "o"
        parts = [
            f"{mark} {short(record.digest)} #{number}",
            self._about(record),
            self._inputs(number),
        ]
        return "  ".join(part for part in parts if part)

    def _about(self, record: Record) -> str:
        newest = record.newest
        if newest is None:
            return ""
        size = None if newest.top is None else self._inspection.layers[newest.top].size
        amount = "" if size is None else f", {readable(size)}"
        return f"{counted(newest.depth, 'layer')}{amount}, {instant(newest.created_at)}"

    def _inputs(self, number: int) -> str:
        """Name the inputs, unless the line above says it all."""
        inputs = self._records[number].inputs
        if sum(map(len, inputs)) <= 1:
            return ""
        return "<- " + " + ".join(map(self._alternatives, inputs))

    def _alternatives(self, links: Sequence[CacheInput]) -> str:
        numbers = list(dict.fromkeys(link.link for link in links))
        names = [f"#{number}" for number in numbers[:_MAX_ALTERNATIVES]]
        if len(numbers) > _MAX_ALTERNATIVES:
            names.append(f"{len(numbers) - _MAX_ALTERNATIVES} more")
        return f"({' | '.join(names)})" if len(names) > 1 else names[0]

    def _rank(self, number: int) -> tuple[int, int]:
        return self._weights[number], number

    def _parents(self, number: int) -> set[int]:
        return {link.link for links in self._records[number].inputs for link in links}

    def _topological(self) -> list[int]:
        waiting = [len(self._parents(number)) for number in range(len(self._records))]
        children: dict[int, list[int]] = {}
        for number in range(len(self._records)):
            for parent in self._parents(number):
                children.setdefault(parent, []).append(number)
        order = [number for number, count in enumerate(waiting) if not count]
        for number in order:  # grows as it is walked
            for child in children.get(number, ()):
                waiting[child] -= 1
                if not waiting[child]:
                    order.append(child)
        return order

    def _owned(self, order: Sequence[int]) -> dict[int, int]:
        levels = dict.fromkeys(order, 0)
        owners = {}
        for number in order:
            parents = self._parents(number)
            if parents:
                owner = max(parents, key=lambda parent: (levels[parent], -parent))
                owners[number] = owner
                levels[number] = levels[owner] + 1
        return owners
