"""How many bytes caches need, and which of these nothing else needs.

Only layers are counted: config and manifest come on top. A graph may be deep, so every layer is
looked at once, however many records stand on it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from cachexport.model.chains import CacheChains
from cachexport.model.chains.tie import untied
from cachexport.model.config.model import NO_PARENT
from cachexport.oci.descriptor import DESCRIPTION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cachexport.model.config import CacheConfig, CacheRecord
    from cachexport.model.envelope.cache import Cache
    from cachexport.oci.descriptor import Descriptor


@dataclass(slots=True, kw_only=True)
class Stacks:
    """The layers of one cache's results. A layer without a descriptor counts 0 bytes."""

    digests: tuple[str, ...]
    """The digests of the records, by position."""
    sizes: Mapping[str, int]
    """Bytes of each blob."""
    needs: dict[int, int] = field(default_factory=dict)
    """By record with results, the bytes of all distinct blobs that these need."""
    results: Counter[str] = field(default_factory=Counter)
    """By blob, how many results need it."""
    users: dict[str, int | None] = field(default_factory=dict)
    """By blob, the only record that needs it; None when several do."""

    @classmethod
    def of(cls, cache: Cache) -> Self:
        """Measure a cache. Raises WireFormat or Loop when its records are no graph."""
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
        """Give the bytes that a record needs; only for several results the stacks are walked."""
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
    """The layers that results need, as a tree: each below its parent."""

    def __init__(self, config: CacheConfig, sizes: Mapping[str, int]) -> None:
        self.blobs = [layer.blob for layer in config.layers]
        # Parsing checks nothing below a layer without a descriptor: there may even be loops.
        self.parents = [
            layer.parent if layer.blob in sizes else NO_PARENT for layer in config.layers
        ]
        self.users: dict[int, int | None] = {}
        self.first: set[int] = set()
        """Layers whose blob does not occur again in the stack below them."""
        self.weights: dict[int, int] = {}
        """By layer, the bytes of its stack, each blob counted once."""
        self.order = self._ordered(config)
        self._weigh(sizes)

    def use(self, layer: int, record: int | None) -> None:
        self.users[layer] = _joined(self.users.get(layer, record), record)

    def pass_down(self, layer: int, parent: int) -> None:
        if parent != NO_PARENT:
            self.use(parent, self.users[layer])

    def stack(self, layer: int) -> Iterator[str]:
        """Give the blobs of a layer's stack, top first."""
        while layer != NO_PARENT:
            yield self.blobs[layer]
            layer = self.parents[layer]

    def _ordered(self, config: CacheConfig) -> list[int]:
        """Give the layers that results need, parents first and each branch in one run."""
        reached: dict[int, None] = {}
        for record in config.records:
            for result in record.results:
                layer = result.layer
                while layer != NO_PARENT and layer not in reached:
                    reached[layer] = None
                    layer = self.parents[layer]
        return _parents_first(reached, self.parents)

    def _weigh(self, sizes: Mapping[str, int]) -> None:
        """Visit every layer once, counting the blobs of its stack on the way."""
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
    """Order a forest depth first: each layer is followed by all that stand on it."""
    children: dict[int, list[int]] = {}
    for layer in layers:
        children.setdefault(parents[layer], []).append(layer)
    pending, order = children.get(NO_PARENT, [])[:], []
    while pending:
        order.append(pending.pop())
        pending += children.get(order[-1], ())
    return order


def _joined(one: int | None, other: int | None) -> int | None:
    """Give the only user of something, from two users; None stands for several."""
    return one if one == other else None


@dataclass(frozen=True, slots=True, kw_only=True)
class NameUsage:
    """The blobs of one cache; sizes in bytes."""

    name: str
    blobs: int
    """How many distinct blobs."""
    size: int
    unique: int
    """Bytes of the blobs that no other of the caches has."""

    @property
    def shared(self) -> int:
        """The bytes that another of the caches has too."""
        return self.size - self.unique


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerUsage:
    """One blob and its users; `size` is in bytes."""

    digest: str
    size: int
    description: str
    """The build step that made it, if a descriptor says; else empty."""
    results: int
    """How many results have it in their stack; 0 when none needs it."""
    names: tuple[int, ...]
    """The positions in `Usage.names` of the caches that have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordUsage:
    """The layers of a record with results; sizes in bytes."""

    name: int
    """The position of its cache in `Usage.names`."""
    record: int
    """Its position in that cache."""
    digest: str
    size: int
    """Bytes of all layers that its results are made of."""
    unique: int
    """Bytes of the blobs that no other record's results need, in any of the caches."""

    @property
    def shared(self) -> int:
        """The bytes that would stay if the record's results were dropped."""
        return self.size - self.unique


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The usage of several caches together."""

    names: tuple[NameUsage, ...]
    """In the order in which they were given."""
    layers: tuple[LayerUsage, ...]
    """Largest first."""
    records: tuple[RecordUsage, ...]
    """Those with results, largest first."""

    @property
    def size(self) -> int:
        """Bytes of all distinct blobs."""
        return sum(layer.size for layer in self.layers)


def measure_usage(named: Iterable[tuple[str, Cache]]) -> Usage:
    """Measure caches, each given with its name. Reads no layer.

    Raises WireFormat or Loop when the records of one are no graph.
    """
    named = list(named)
    stacks = [Stacks.of(cache) for _, cache in named]
    described = _described(cache for _, cache in named)
    holders: defaultdict[str, list[int]] = defaultdict(list)
    for number, (_, cache) in enumerate(named):
        for digest in dict.fromkeys(desc.digest for desc in cache.layers):
            holders[digest].append(number)
    return Usage(
        names=tuple(_name(number, named, holders, described) for number in range(len(named))),
        layers=_layers(stacks, holders, described),
        records=_records(stacks),
    )


def _described(caches: Iterable[Cache]) -> dict[str, Descriptor]:
    """Give a descriptor of every blob, preferably one that names the build step."""
    found: dict[str, Descriptor] = {}
    for cache in caches:
        for desc in cache.layers:
            if desc.digest not in found or not found[desc.digest].annotations.get(DESCRIPTION):
                found[desc.digest] = desc
    return found


def _name(
    number: int,
    named: Sequence[tuple[str, Cache]],
    holders: dict[str, list[int]],
    described: dict[str, Descriptor],
) -> NameUsage:
    name, cache = named[number]
    sizes = {desc.digest: described[desc.digest].size for desc in cache.layers}
    return NameUsage(
        name=name,
        blobs=len(sizes),
        size=sum(sizes.values()),
        unique=sum(size for digest, size in sizes.items() if len(holders[digest]) == 1),
    )


def _layers(
    stacks: Sequence[Stacks], holders: dict[str, list[int]], described: dict[str, Descriptor]
) -> tuple[LayerUsage, ...]:
    results: Counter[str] = Counter()
    for one in stacks:
        results.update(one.results)
    layers = [
        LayerUsage(
            digest=digest,
            size=desc.size,
            description=desc.annotations.get(DESCRIPTION, ""),
            results=results[digest],
            names=tuple(holders[digest]),
        )
        for digest, desc in described.items()
    ]
    return tuple(sorted(layers, key=lambda layer: (-layer.size, layer.digest)))


def _records(stacks: Sequence[Stacks]) -> tuple[RecordUsage, ...]:
    unique = _unique(stacks)
    records = [
        RecordUsage(
            name=number,
            record=record,
            digest=one.digests[record],
            size=size,
            unique=unique[number, record],
        )
        for number, one in enumerate(stacks)
        for record, size in one.needs.items()
    ]
    return tuple(sorted(records, key=lambda item: (-item.size, item.digest, item.name)))


def _unique(stacks: Sequence[Stacks]) -> Counter[tuple[int, int]]:
    """Sum up, by cache and record, the bytes of the blobs that it alone needs."""
    users: dict[str, tuple[int, int] | None] = {}
    for number, one in enumerate(stacks):
        for digest, record in one.users.items():
            only = None if record is None or digest in users else (number, record)
            users[digest] = only
    unique: Counter[tuple[int, int]] = Counter()
    for number, one in enumerate(stacks):
        for digest in one.users:
            user = users[digest]
            if user is not None and user[0] == number:
                unique[user] += one.sizes.get(digest, 0)
    return unique
