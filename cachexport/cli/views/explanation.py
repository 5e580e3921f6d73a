"""Records that were explained, as text and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from cachexport.cli.console import in_line, printable
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


def document_lines(found: Sequence[Explanation]) -> Iterator[str]:
    """Give everything, as JSON."""
    yield json.dumps({"records": [_object(item) for item in found]}, indent=2)


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


def _object(item: Explanation) -> dict[str, Any]:
    return {
        "record": item.number,
        "digest": item.digest,
        "usable": item.is_usable,
        "obstacles": [
            {"kind": each.kind, "blob": each.blob or None, "text": each.text}
            for each in item.obstacles
        ],
        "inputs": [[_node(node) for node in links] for links in item.inputs],
        "path": [_node(node) for node in item.path],
        "ancestors": item.ancestors,
        "results": [_result_object(result) for result in item.results],
        "children": [{**_node(node), "input": node.index} for node in item.children],
        "descendants": item.descendants,
        "results_below": item.results_below,
    }


def _node(node: Node) -> dict[str, Any]:
    return {"record": node.number, "digest": node.digest, "selector": node.selector}


def _result_object(result: ExplainedResult) -> dict[str, Any]:
    return {
        "created_at": None if result.created_at is None else str(result.created_at),
        "counts": result.counts,
        "layers": [
            {
                "blob": layer.blob,
                "size": layer.size,
                "media_type": layer.media_type or None,
                "description": layer.description or None,
                "obstacle": layer.obstacle.kind if layer.obstacle else None,
            }
            for layer in result.layers
        ],
    }
