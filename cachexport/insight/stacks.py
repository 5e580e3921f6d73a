"""Which records' results are made of which layers, told without walking a stack twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from cachexport.model.chains import CacheChains
from cachexport.model.chains.tie import untied
from cachexport.model.config.model import NO_PARENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cachexport.model.config import CacheConfig, CacheRecord
    from cachexport.model.envelope.cache import Cache


@dataclass(slots=True, kw_only=True)
class Stacks:
    """What the results of one cache are made of. Layers without descriptor have no size."""

    digests: tuple[str, ...]
    """Of the records, by position."""
    sizes: Mapping[str, int]
    """Bytes of each blob."""
    needs: dict[int, int] = field(default_factory=dict)
    """For each record with results, the bytes of all distinct blobs that these need."""
    results: Counter[str] = field(default_factory=Counter)
    """How many results need a blob."""
    users: dict[str, int | None] = field(default_factory=dict)
    """The record that alone needs a blob; None when several do."""

    @classmethod
    def of(cls, cache: Cache) -> Self:
        """Look at a cache. Raises WireFormat or Loop when its records lead nowhere."""
        CacheChains.parse(cache.config, cache.layers, cache.provider)
        config = untied(cache.config)
        stacks = cls(
            digests=tuple(record.digest for record in config.records),
            sizes={desc.digest: desc.size for desc in cache.layers},
        )
        stacks._fill(config)
        return stacks

    def _fill(self, config: CacheConfig) -> None:
        tree = _Tree(config, self.sizes)
        tops: Counter[int] = Counter()
        for number, record in enumerate(config.records):
            if not (record.results or record.chained_results):
                continue
            self.needs[number] = self._need(tree, record)
            for result in record.results:
                tops[result.layer] += 1
                tree.use(result.layer, number)
            for chain in record.chained_results:
                self._count_chain(number, {config.layers[layer].blob for layer in chain.layers})
        self._count_stacks(tree, tops)

    def _need(self, tree: _Tree, record: CacheRecord) -> int:
        """Add up what a record needs; only one with several results takes a walk."""
        if len(record.results) == 1 and not record.chained_results:
            return tree.weights[record.results[0].layer]
        blobs = {blob for result in record.results for blob in tree.stack(result.layer)}
        for chain in record.chained_results:
            blobs.update(tree.blobs[layer] for layer in chain.layers)
        return sum(self.sizes.get(blob, 0) for blob in blobs)

    def _count_chain(self, record: int, blobs: Iterable[str]) -> None:
        for blob in blobs:
            self.results[blob] += 1
            self._add_user(blob, record)

    def _count_stacks(self, tree: _Tree, tops: Counter[int]) -> None:
        for layer in reversed(tree.order):
            parent, blob = tree.parents[layer], tree.blobs[layer]
            if layer in tree.users:
                self._add_user(blob, tree.users[layer])
                tree.pass_down(layer, parent)
            if layer in tree.first:
                self.results[blob] += tops[layer]
            tops[parent] += tops[layer]

    def _add_user(self, blob: str, record: int | None) -> None:
        self.users[blob] = _joined(self.users.get(blob, record), record)


class _Tree:
    """The layers of a config that results lead to; each hangs under its parent."""

    def __init__(self, config: CacheConfig, sizes: Mapping[str, int]) -> None:
        self.blobs = [layer.blob for layer in config.layers]
        # Below a layer without descriptor parsing has checked nothing: there may even be loops.
        self.parents = [
            layer.parent if layer.blob in sizes else NO_PARENT for layer in config.layers
        ]
        self.users: dict[int, int | None] = {}
        self.first: set[int] = set()
        """Layers whose blob is not in the stack below them too."""
        self.weights: dict[int, int] = {}
        """Bytes of a layer with all below it, each blob counted once."""
        self.order = self._ordered(config)
        self._weigh(sizes)

    def use(self, layer: int, record: int | None) -> None:
        self.users[layer] = _joined(self.users.get(layer, record), record)

    def pass_down(self, layer: int, parent: int) -> None:
        if parent != NO_PARENT:
            self.use(parent, self.users[layer])

    def stack(self, layer: int) -> Iterator[str]:
        """Give the blobs of a layer and of all below it."""
        while layer != NO_PARENT:
            yield self.blobs[layer]
            layer = self.parents[layer]

    def _ordered(self, config: CacheConfig) -> list[int]:
        """Give the layers that results lead to, each after all that hang under it were met."""
        reached: dict[int, None] = {}
        for record in config.records:
            for result in record.results:
                layer = result.layer
                while layer != NO_PARENT and layer not in reached:
                    reached[layer] = None
                    layer = self.parents[layer]
        return _parents_first(reached, self.parents)

    def _weigh(self, sizes: Mapping[str, int]) -> None:
        """Go down every branch once, with the blobs of the stack in hand."""
        under: Counter[str] = Counter()
        stack: list[int] = []
        for layer in self.order:
            while stack and stack[-1] != self.parents[layer]:
                under[self.blobs[stack.pop()]] -= 1
            blob, below = self.blobs[layer], self.weights.get(self.parents[layer], 0)
            if not under[blob]:
                self.first.add(layer)
            self.weights[layer] = below + (0 if under[blob] else sizes.get(blob, 0))
            under[blob] += 1
            stack.append(layer)


def _parents_first(layers: Iterable[int], parents: Sequence[int]) -> list[int]:
    """Order a forest so that a layer is followed by all that stand on it."""
    children: dict[int, list[int]] = {}
    for layer in layers:
        children.setdefault(parents[layer], []).append(layer)
    pending, order = children.get(NO_PARENT, [])[:], []
    while pending:
        order.append(pending.pop())
        pending += children.get(order[-1], ())
    return order


def _joined(one: int | None, other: int | None) -> int | None:
    """Give the record that alone uses something that both use; None stands for several."""
    return one if one == other else None
