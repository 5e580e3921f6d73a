"""From the graph to the cache config, sorted as BuildKit sorts it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

from cachexport.model.chains.layers import LayerTable
from cachexport.model.chains.minimal import leading_to_leaves
from cachexport.model.chains.walk import walk
from cachexport.model.config.model import (
    NO_PARENT,
    CacheConfig,
    CacheInput,
    CacheLayer,
    CacheRecord,
    CacheResult,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from cachexport.model.chains import record
    from cachexport.model.chains.blobs import MergedBlobs
    from cachexport.model.chains.layers import Layer
    from cachexport.model.chains.remote import BlobSource, Remote
    from cachexport.model.chains.walk import Link
    from cachexport.oci.digest import Digest
    from cachexport.oci.timestamp import Timestamp

    Result = tuple[int, Timestamp]
    """The number of the top layer, as the table counts, and the instant."""

_log = logging.getLogger(__name__)
_NAMED = 3
"""How many of the blobs that are gone a warning names."""


def marshal(
    records: Sequence[record.CacheRecord],
    mode: Literal["min", "max"] = "max",
    merged: MergedBlobs | None = None,
) -> tuple[CacheConfig, dict[Digest, BlobSource]]:
    """Write down all records that lead to a leaf, each with its newest result.

    A result of which no provider has a blob any longer is left out; with mode `min` also one that
    does not lead to the result of a leaf. In a merged graph, where `merged` knows of the blobs,
    an older result counts then, and what was added first has no precedence. Gives the config and
    the blobs of its layers.
    """
    order = walk(records)
    table = LayerTable(merged)
    chosen = {item: _chosen(item, table, merged is not None) for item in order}
    keep = leading_to_leaves(chosen) if mode == "min" else lambda _: True
    results = [_numbered(result, table, keep) for result in chosen.values()]
    _tell_of(table.gone)
    layers, layer_numbers = _sorted_layers(table.layers)
    record_order = _order([_record_key(item, inputs) for item, inputs in order.items()])
    record_numbers = dict(zip(order, _inverse(record_order), strict=True))
    items = list(order.items())
    written = (
        CacheRecord(
            digest=items[old][0].digest,
            results=_renumbered(results[old], layer_numbers),
            inputs=tuple([_links(links, record_numbers) for links in items[old][1]]),
        )
        for old in record_order
    )
    return CacheConfig(layers=layers, records=tuple(written)), table.descriptors()


def _chosen(
    item: record.CacheRecord, table: LayerTable, is_merged: bool
) -> record.CacheResult | None:
    return item.newest_whole(table.is_whole) if is_merged else item.newest_result()


def _numbered(
    result: record.CacheResult | None, table: LayerTable, keep: Callable[[Remote], bool]
) -> Result | None:
    if result is None or not keep(result.remote) or not table.is_whole(result.remote):
        return None
    return table.number(result.remote), result.created_at


def _tell_of(gone: Collection[Digest]) -> None:
    if gone:
        named = ", ".join(list(gone)[:_NAMED])
        more = f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else ""
        _log.warning("left out the results that need blobs which are not there: %s%s", named, more)


def _sorted_layers(layers: Sequence[Layer]) -> tuple[tuple[CacheLayer, ...], list[int]]:
    """Sort by blob, then by the parent's position in the walk; give the new numbers too."""
    order = _order(layers)
    numbers = _inverse(order)
    renumbered = [
        CacheLayer(blob=blob, parent=parent if parent == NO_PARENT else numbers[parent])
        for blob, parent in (layers[old] for old in order)
    ]
    return tuple(renumbered), numbers


def _record_key(item: record.CacheRecord, inputs: Sequence[Sequence[Link]]) -> tuple[Any, ...]:
    # By digest and number of inputs, then for each input by the number of links, and by selector
    # and digest of each link in the order of the walk. Records that are still alike, such as
    # those of a pair of steps that a build repeats, keep the order of the walk. BuildKit's sort
    # does not above twelve records: it has them in some other order, with the same meaning.
    links = [(len(links), [(selector, src.digest) for src, selector in links]) for links in inputs]
    return item.digest, len(inputs), links


def _renumbered(result: Result | None, numbers: Sequence[int]) -> tuple[CacheResult, ...]:
    if result is None:
        return ()
    number, created_at = result
    return (CacheResult(layer=numbers[number], created_at=created_at),)


def _links(links: Sequence[Link], numbers: dict[record.CacheRecord, int]) -> tuple[CacheInput, ...]:
    pairs = [(numbers[src], selector) for src, selector in links]
    return tuple([CacheInput(selector=selector, link=number) for number, selector in sorted(pairs)])


def _order(keys: Sequence[Any]) -> list[int]:
    return sorted(range(len(keys)), key=keys.__getitem__)


def _inverse(order: Sequence[int]) -> list[int]:
    numbers = [0] * len(order)
    for new, old in enumerate(order):
        numbers[old] = new
    return numbers
