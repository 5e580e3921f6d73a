"""A cache's graph, as text and in Graphviz's language."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.cli.views.text import counted, instant, short, title
from cachexport.contract.units import readable
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
