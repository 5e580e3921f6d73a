"""How many bytes caches need, and which of these nothing else needs.

Only layers are counted: config and manifest come on top. A graph may be deep, so every layer is
looked at once, however many records stand on it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.insight.stacks import Stacks
from cachexport.oci.descriptor import DESCRIPTION

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cachexport.model.envelope.cache import Cache
    from cachexport.oci.descriptor import Descriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class NameUsage:
    """What one cache needs; sizes in bytes."""

    name: str
    blobs: int
    """How many distinct blobs."""
    size: int
    unique: int
    """Of these bytes, those that no other of the caches has."""

    @property
    def shared(self) -> int:
        """The bytes that another of the caches has too."""
        return self.size - self.unique


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerUsage:
    """What needs one blob; `size` is in bytes."""

    digest: str
    size: int
    description: str
    """The build step that made it, where a descriptor tells."""
    results: int
    """How many results have it in their stack; 0 when it is there for nothing."""
    names: tuple[int, ...]
    """The positions in `Usage.names` of the caches that have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordUsage:
    """What a record with results needs; sizes in bytes."""

    name: int
    """The position of its cache in `Usage.names`."""
    record: int
    """Its position in that cache."""
    digest: str
    size: int
    """Bytes of all layers that its results are made of."""
    unique: int
    """Of these, those that no other record's results need, in any of the caches."""

    @property
    def shared(self) -> int:
        """The bytes that would stay if the record's results were dropped."""
        return self.size - self.unique


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What caches need together."""

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
    """Say what caches, each given with its name, need. Reads no layer.

    Raises WireFormat or Loop when the records of one lead nowhere.
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
    """Give a descriptor of every blob, if there is a choice one that tells the step."""
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
    """Sum up, for each record of each cache, the blobs that it alone needs."""
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
