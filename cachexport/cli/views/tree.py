"""A cache's graph as text: one line a record, what it depends on in the lines above or named.

A line of records goes straight down its column: each is an input of the next. Where several
follow one record, all but the one that most records follow are indented, so the text never gets
deeper than the logarithm of their number, however deep the graph is. A record with several
parents stands once, below the one furthest from the roots, and names its inputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.cli.views.names import counted, instant, short, title
from cachexport.contract.units import (
    readable,
)
from cachexport.insight.forest import Forest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.insight.inspect import Inspection, Record
    from cachexport.model.config import CacheInput

_MAX_ALTERNATIVES = 4


def tree_lines(inspections: Sequence[Inspection]) -> Iterator[str]:
    """Give the lines of every cache; `*` is a record with results, `o` one without."""
    yield "* record with a result, o without; #number; <- its inputs, | between alternatives"
    for number, inspection in enumerate(inspections, 1):
        yield ""
        if len(inspections) > 1:
            yield title(number, len(inspections))
        yield from _Tree(inspection).lines()


class _Tree:
    """The lines for one cache; none of this recurses, graphs are deep."""

    def __init__(self, inspection: Inspection) -> None:
        self._inspection = inspection
        self._records = inspection.records
        self._forest = Forest(
            [[link.link for links in record.inputs for link in links] for record in self._records]
        )

    def lines(self) -> Iterator[str]:
        roots = [
            number for number in range(len(self._records)) if number not in self._forest.owners
        ]
        bare = [root for root in roots if root not in self._forest.below]
        if bare:
            yield "no record stands below these:"
            yield from (f"  {self._line(root)}" for root in bare)
        for root in sorted(self._forest.trees(), key=self._rank):
            yield ""
            yield from self._tree(root)

    def _tree(self, root: int) -> Iterator[str]:
        pending = [(root, "", "")]
        while pending:
            number, column, branch = pending.pop()
            yield f"{branch or column}{self._line(number)}"
            *aside, heaviest = self._forest.below.get(number) or [-1]
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
        return self._forest.weights[number], number
