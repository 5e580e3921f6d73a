"""From the graph to the cache config."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.cacheconfig.model import CacheConfig, CacheInput, CacheRecord, CacheResult
from cachexport.cacheconfig.order import sort_config
from cachexport.chains.layers import LayerTable
from cachexport.chains.minimal import leading_to_leaves
from cachexport.chains.walk import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Literal

    from cachexport.chains import record
    from cachexport.chains.remote import BlobSource, Remote
    from cachexport.chains.walk import Walk
    from cachexport.oci.digest import Digest

    Mode = Literal["min", "max"]


def marshal(
    records: Sequence[record.CacheRecord], mode: Mode = "max"
) -> tuple[CacheConfig, dict[Digest, BlobSource]]:
    """Write down all records that lead to a leaf, each with its newest result.

    A result of which a provider no longer has a blob is left out; with mode `min` also one that
    does not lead to the result of a leaf. Gives the config and the blobs of its layers.
    """
    order = walk(records)
    keep = leading_to_leaves(order) if mode == "min" else lambda _: True
    table = LayerTable()
    written = tuple(_records(order, table, keep))
    config = CacheConfig(layers=tuple(table.layers), records=written)
    return sort_config(config), table.descriptors()


def _records(order: Walk, table: LayerTable, keep: Callable[[Remote], bool]) -> list[CacheRecord]:
    numbers = {item: number for number, item in enumerate(order)}
    return [
        CacheRecord(
            digest=item.digest,
            results=_results(item, table, keep),
            inputs=tuple(
                tuple(CacheInput(selector=selector, link=numbers[src]) for src, selector in links)
                for links in inputs
            ),
        )
        for item, inputs in order.items()
    ]


def _results(
    item: record.CacheRecord, table: LayerTable, keep: Callable[[Remote], bool]
) -> tuple[CacheResult, ...]:
    newest = item.newest_result()
    if newest is None or not keep(newest.remote):
        return ()
    number = table.number(newest.remote)
    return () if number is None else (CacheResult(layer=number, created_at=newest.created_at),)
