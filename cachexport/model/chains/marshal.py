"""From the graph to the cache config: whole, or as `mode=min` keeps it.

BuildKit walks the graph from the leaves, parents first, and where it iterates over Go maps the
order is random. Here the ancestry of a record, a digest of all that it depends on, decides
instead. So the walk is one that BuildKit could have made, and it is always the same one, whatever
the order in which records were added.
"""

from __future__ import annotations

import logging
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from cachexport.model import config
from cachexport.model.chains.layers import LayerTable
from cachexport.model.config.model import NO_PARENT, CacheConfig, CacheInput, CacheLayer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from cachexport.model.chains.blobs import MergedBlobs
    from cachexport.model.chains.layers import Layer
    from cachexport.model.chains.record import BlobSource, CacheRecord, CacheResult, Remote
    from cachexport.oci.digest import Digest
    from cachexport.oci.timestamp import Timestamp

    Link = tuple[CacheRecord, str]
    Walk = dict[CacheRecord, list[list[Link]]]
    Result = tuple[int, Timestamp]
    """The number of the top layer in the table, and the instant."""


_SIZE = 16


def leading_to_leaves(
    results: Mapping[CacheRecord, CacheResult | None],
) -> Callable[[Remote], bool]:
    """Give a test for stacks of layers: whether a leaf's result is that stack or begins with it.

    Layers are compared by diff ID: a leaf's stack can hold another compression of a layer.
    """
    stacks = _Stacks()
    wanted: set[bytes] = set()
    for record, result in results.items():
        if result is not None and not record.children:
            _add_all(result.remote, stacks, wanted)
    return lambda remote: stacks.key(remote) in wanted


def _add_all(remote: Remote, stacks: _Stacks, wanted: set[bytes]) -> None:
    stacks.key(remote)
    for layer in remote.down():
        key = stacks.key(layer)
        if key in wanted:
            break  # and so is all below it
        wanted.add(key)


class _Stacks:
    """Keys for stacks of diff IDs; each is computed once."""

    def __init__(self) -> None:
        self._keys: dict[Remote, bytes] = {}

    def key(self, remote: Remote) -> bytes:
        """Give the key of a stack. Stacks with equal diff IDs have equal keys."""
        unknown = []
        below = b""
        for layer in remote.down():
            if layer in self._keys:
                below = self._keys[layer]
                break
            unknown.append(layer)
        for layer in reversed(unknown):
            content = layer.descriptor.diff_id or layer.descriptor.digest
            below = blake2b(below + content.encode(), digest_size=_SIZE).digest()
            self._keys[layer] = below
        return below


_ANCESTRY_SIZE = 16


def walk(records: Sequence[CacheRecord]) -> Walk:
    """Give every record that leads to a leaf with its inputs, in the order of the walk."""
    ancestry = _ancestry(records)

    def link_order(link: Link) -> tuple[bytes, str, int]:
        src, selector = link
        return ancestry[src], selector, src.sequence

    leaves = [(record, "") for record in records if not record.children]
    done: Walk = {}
    for leaf, _ in sorted(leaves, key=link_order):
        _walk_up(leaf, link_order, done)
    return done


def _walk_up(leaf: CacheRecord, link_order: Callable[[Link], Any], done: Walk) -> None:
    seen: set[CacheRecord] = set()

    def visit(record: CacheRecord) -> tuple[CacheRecord, list[list[Link]], Iterator[Link]]:
        seen.add(record)
        inputs = [_sorted(links, link_order) for links in record.parents]
        return record, inputs, chain.from_iterable(inputs)

    stack = [visit(leaf)]
    while stack:
        record, inputs, pending = stack[-1]
        parent = next((src for src, _ in pending if src not in done and src not in seen), None)
        if parent is not None:
            stack.append(visit(parent))
        else:
            done[record] = inputs
            stack.pop()


def _sorted(links: dict[Link, None], order: Callable[[Link], Any]) -> list[Link]:
    return sorted(links, key=order) if len(links) > 1 else list(links)


def _ancestry(records: Sequence[CacheRecord]) -> dict[CacheRecord, bytes]:
    ancestry: dict[CacheRecord, bytes] = {}
    for record in sorted(records, key=lambda record: record.level):
        hasher = blake2b(record.digest.encode(), digest_size=_ANCESTRY_SIZE)
        for links in record.parents:
            hasher.update(b"\0input")
            for key, selector in sorted((ancestry[src], selector) for src, selector in links):
                hasher.update(b"\0" + key + selector.encode())
        ancestry[record] = hasher.digest()
    return ancestry


_log = logging.getLogger(__name__)
_NAMED = 3
"""How many of the blobs that are gone a warning names."""


def marshal(
    records: Sequence[CacheRecord],
    mode: Literal["min", "max"] = "max",
    merged: MergedBlobs | None = None,
) -> tuple[CacheConfig, dict[Digest, BlobSource]]:
    """Write down all records that lead to a leaf, each with its newest result.

    Results with a blob that no provider has any longer are left out, and with mode `min` also
    results that no leaf's result is built on. For a merged graph `merged` has the blobs; then an
    older result takes the place of one that is gone, and the order of adding decides nothing.
    Gives the config and the blobs of its layers.
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
        config.CacheRecord(
            digest=items[old][0].digest,
            results=_renumbered(results[old], layer_numbers),
            inputs=tuple([_links(links, record_numbers) for links in items[old][1]]),
        )
        for old in record_order
    )
    return CacheConfig(layers=layers, records=tuple(written)), table.descriptors()


def _chosen(item: CacheRecord, table: LayerTable, is_merged: bool) -> CacheResult | None:
    return item.newest_whole(table.is_whole) if is_merged else item.newest_result()


def _numbered(
    result: CacheResult | None, table: LayerTable, keep: Callable[[Remote], bool]
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


def _record_key(item: CacheRecord, inputs: Sequence[Sequence[Link]]) -> tuple[Any, ...]:
    # By digest and number of inputs, then for each input by the number of links, and by selector
    # and digest of each link in the order of the walk. Records that are still alike, such as
    # those of a pair of steps that a build repeats, keep the order of the walk. BuildKit's sort
    # does not above twelve records: it has them in some other order, with the same meaning.
    links = [(len(links), [(selector, src.digest) for src, selector in links]) for links in inputs]
    return item.digest, len(inputs), links


def _renumbered(result: Result | None, numbers: Sequence[int]) -> tuple[config.CacheResult, ...]:
    if result is None:
        return ()
    number, created_at = result
    return (config.CacheResult(layer=numbers[number], created_at=created_at),)


def _links(links: Sequence[Link], numbers: dict[CacheRecord, int]) -> tuple[CacheInput, ...]:
    pairs = [(numbers[src], selector) for src, selector in links]
    return tuple([CacheInput(selector=selector, link=number) for number, selector in sorted(pairs)])


def _order(keys: Sequence[Any]) -> list[int]:
    return sorted(range(len(keys)), key=keys.__getitem__)


def _inverse(order: Sequence[int]) -> list[int]:
    numbers = [0] * len(order)
    for new, old in enumerate(order):
        numbers[old] = new
    return numbers
