"""Sorting a cache config as BuildKit does, so that one cache has one digest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cachexport.cacheconfig.model import (
    NO_PARENT,
    CacheConfig,
    CacheInput,
    CacheLayer,
    CacheRecord,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def sort_config(config: CacheConfig) -> CacheConfig:
    """Sort layers and records that come in the order of a walk, parents first.

    Layers by blob, then by the parent's position in the walk. Records by digest, number of
    inputs, then for each input by the number of links and their selectors and digests in the
    order of the walk. Links by where they lead.
    """
    layer_order = _order([(layer.blob, layer.parent) for layer in config.layers])
    record_order = _order([_record_key(record, config.records) for record in config.records])
    layer_numbers = _inverse(layer_order)
    record_numbers = _inverse(record_order)
    return CacheConfig(
        layers=tuple(_renumber_layer(config.layers[old], layer_numbers) for old in layer_order),
        records=tuple(
            _renumber_record(config.records[old], layer_numbers, record_numbers)
            for old in record_order
        ),
    )


def _order(keys: Sequence[Any]) -> list[int]:
    return sorted(range(len(keys)), key=keys.__getitem__)


def _inverse(order: Sequence[int]) -> list[int]:
    numbers = [0] * len(order)
    for new, old in enumerate(order):
        numbers[old] = new
    return numbers


def _record_key(record: CacheRecord, records: Sequence[CacheRecord]) -> tuple[Any, ...]:
    inputs = tuple(
        (len(links), [(link.selector, records[link.link].digest) for link in links])
        for links in record.inputs
    )
    return record.digest, len(inputs), inputs


def _renumber_layer(layer: CacheLayer, numbers: Sequence[int]) -> CacheLayer:
    if layer.parent == NO_PARENT:
        return layer
    return replace(layer, parent=numbers[layer.parent])


def _renumber_record(
    record: CacheRecord, layer_numbers: Sequence[int], record_numbers: Sequence[int]
) -> CacheRecord:
    return replace(
        record,
        results=tuple(replace(item, layer=layer_numbers[item.layer]) for item in record.results),
        inputs=tuple(_renumber_links(links, record_numbers) for links in record.inputs),
    )


def _renumber_links(links: Sequence[CacheInput], numbers: Sequence[int]) -> tuple[CacheInput, ...]:
    renumbered = [CacheInput(selector=link.selector, link=numbers[link.link]) for link in links]
    return tuple(sorted(renumbered, key=lambda link: (link.link, link.selector)))
