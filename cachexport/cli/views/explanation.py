"""Records that were explained, as text and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Self

import click

from cachexport.cli.console import in_line, printable
from cachexport.cli.views.document import filled
from cachexport.cli.views.text import bold, counted, instant, short
from cachexport.contract.units import readable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.insight.explain import (
        ExplainedLayer,
        ExplainedResult,
        Explanation,
        Node,
        Obstacle,
    )

_ENDS = 3
"""How many records of a long path are shown at each end."""
_SHOWN = 20
"""How many dependent records are shown."""


def text_lines(found: Sequence[Explanation]) -> Iterator[str]:
    """Give what is known of every record."""
    for number, item in enumerate(found):
        if number:
            yield ""
        yield from _record(item)


def _record(item: Explanation) -> Iterator[str]:
    yield bold(f"record {item.number}  {printable(item.digest)}")
    yield _usable(item)
    for obstacle in item.obstacles:
        yield f"  {click.style(obstacle.kind, fg='red')}  {_obstacle(obstacle)}"
    yield ""
    yield f"depends on {counted(item.ancestors, 'record')}"
    if len(item.path) > 1:
        yield f"  {_path(item.path)}"
    for index, links in enumerate(item.inputs):
        yield f"  input {index}: {' | '.join(map(_link, links))}"
    for result in item.results:
        yield ""
        yield from _result(result)
    yield ""
    below = f"{item.results_below:,} with a result"
    yield f"{counted(item.descendants, 'record')} depend on it, {below}"
    for child in item.children[:_SHOWN]:
        yield f"  {_link(child)} as input {child.index}"
    if len(item.children) > _SHOWN:
        yield f"  and {len(item.children) - _SHOWN:,} more (--format json has all)"


def _usable(item: Explanation) -> str:
    if item.obstacles:
        return "an import would not use it:"
    if not item.results:
        return "it has no result, but leads to some"
    return "an import would use it"


def _obstacle(obstacle: Obstacle) -> str:
    return printable(f"{obstacle.blob}: {obstacle.text}" if obstacle.blob else obstacle.text)


def _path(path: Sequence[Node]) -> str:
    names = [short(node.digest) for node in path]
    if len(names) > 2 * _ENDS + 1:
        between = f"({len(names) - 2 * _ENDS:,} more)"
        names = [*names[:_ENDS], between, *names[-_ENDS:]]
    return " > ".join(names)


def _link(node: Node) -> str:
    selector = f" [{short(node.selector)}]" if node.selector else ""
    return f"{short(node.digest)} #{node.number}{selector}"


def _result(result: ExplainedResult) -> Iterator[str]:
    sizes = [layer.size for layer in result.layers if layer.size is not None]
    layers = f"{counted(len(result.layers), 'layer')}, {readable(sum(sizes))}"
    older = "" if result.counts else " (not the newest: does not count)"
    yield f"result of {instant(result.created_at)}: {layers}{older}"
    yield from (f"  {_layer(layer)}" for layer in result.layers)


def _layer(layer: ExplainedLayer) -> str:
    size = "?" if layer.size is None else readable(layer.size)
    state = layer.obstacle.kind if layer.obstacle else "there"
    step = in_line(layer.description)
    return f"{printable(layer.blob)}  {size:>9}  {state}  {step}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplanationsDocument:
    """Records that were explained; sizes in bytes."""

    records: tuple[ExplanationView, ...]

    @classmethod
    def of(cls, found: Sequence[Explanation]) -> Self:
        """Give the document."""
        return filled(cls, found, records=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplanationView:
    """Of ExplanationsDocument."""

    record: int
    digest: str
    usable: bool
    obstacles: tuple[ObstacleView, ...]
    inputs: tuple[tuple[NodeView, ...], ...]
    path: tuple[NodeView, ...]
    ancestors: int
    results: tuple[ExplainedResultView, ...]
    children: tuple[ChildView, ...]
    descendants: int
    results_below: int

    @classmethod
    def of(cls, item: Explanation) -> Self:
        """Give one record."""
        return filled(cls, item, record=item.number, usable=item.is_usable)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObstacleView:
    """Of ExplanationView."""

    kind: str
    blob: Annotated[str | None, "null or a digest"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """Of ExplanationView: another record, and the selector by which it is an input."""

    record: int
    digest: str
    selector: str

    @classmethod
    def of(cls, node: Node) -> Self:
        """Give one record."""
        return filled(cls, node, record=node.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildView:
    """Of ExplanationView: a record that depends on this one, as its input of that number."""

    record: int
    digest: str
    selector: str
    input: int

    @classmethod
    def of(cls, node: Node) -> Self:
        """Give one record."""
        return filled(cls, node, record=node.number, input=node.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedResultView:
    """Of ExplanationView."""

    created_at: str | None
    counts: bool
    layers: Annotated[tuple[ExplainedLayerView, ...], "bottom first"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedLayerView:
    """Of ExplainedResultView."""

    blob: str
    size: int | None
    media_type: str | None
    description: str | None
    obstacle: Annotated[str | None, "null or a kind"]

    @classmethod
    def of(cls, layer: ExplainedLayer) -> Self:
        """Give one layer."""
        return filled(cls, layer, obstacle=layer.obstacle.kind if layer.obstacle else None)
