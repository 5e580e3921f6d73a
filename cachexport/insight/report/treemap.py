"""The bytes of all caches by layer, as the page's script takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cachexport.contract.units import (
    readable,
)
from cachexport.insight.report.words import counted, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachexport.insight.usage import LayerUsage, Usage

MOST = 1_500
"""Cells that can be told apart; what is smaller is summed up."""


def treemap_data(usage: Usage, most: int = MOST) -> list[dict[str, Any]]:
    """Give groups of cells, the largest of each first.

    Several caches have a group for what more than one of them has, and one for each.
    """
    groups: dict[str, list[LayerUsage]] = {}
    for layer in usage.layers:
        groups.setdefault(_group(layer, usage), []).append(layer)
    drawn = {layer.digest for layer in usage.layers[:most]}
    data = [_group_data(title, layers, usage, drawn) for title, layers in groups.items()]
    return sorted(data, key=lambda group: (-group["bytes"], group["title"]))


def kind_of(layer: LayerUsage, usage: Usage) -> str:
    """Say whether something else needs a layer too: another cache, or with one cache a result."""
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
