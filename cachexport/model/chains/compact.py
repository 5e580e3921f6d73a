"""Making a written graph smaller: first what costs nothing, then what is oldest.

All of this works on configs as `marshal` writes them: one result a record at most.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cachexport.model.config.model import NO_PARENT, CacheConfig, CacheRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from cachexport.oci.timestamp import Timestamp


def covered_records(config: CacheConfig) -> set[int]:
    """Give the records that are redundant: another record answers every question that they answer.

    Joining records leaves them behind: the other record has all of their links and children, and
    the same result or a newer one.
    """
    alike: dict[object, list[int]] = {}
    children: dict[int, list[tuple[int, int, str]]] = {}
    for number, record in enumerate(config.records):
        alike.setdefault((record.digest, len(record.inputs)), []).append(number)
        for index, links in enumerate(record.inputs):
            for link in links:
                children.setdefault(link.link, []).append((number, index, link.selector))
    links_of = _LinkSets(config)
    covered: set[int] = set()
    for numbers in alike.values():
        for number in numbers if len(numbers) > 1 else ():
            others = links_of.others(number, covered)
            needs = children.get(number, [])
            if any(_stands_in(config, links_of, other, number, needs) for other in others):
                covered.add(number)
    return covered


class _LinkSets:
    """The links of records as sets, and the records that share a link."""

    def __init__(self, config: CacheConfig) -> None:
        self._records = config.records
        self._known: dict[int, list[frozenset[tuple[int, str]]]] = {}
        self._sharing: dict[object, list[int]] = {}
        for number, record in enumerate(config.records):
            for link in record.inputs[0] if record.inputs else ():
                key = (record.digest, len(record.inputs), link.link, link.selector)
                self._sharing.setdefault(key, []).append(number)

    def of(self, number: int) -> list[frozenset[tuple[int, str]]]:
        if number not in self._known:
            inputs = self._records[number].inputs
            sets = [frozenset((link.link, link.selector) for link in links) for links in inputs]
            self._known[number] = sets
        return self._known[number]

    def others(self, number: int, left_out: Collection[int]) -> Iterator[int]:
        """Give the records with this one's digest that have its first link."""
        record = self._records[number]
        if not record.inputs:
            return
        first = record.inputs[0][0]
        key = (record.digest, len(record.inputs), first.link, first.selector)
        for other in self._sharing[key]:
            if other != number and other not in left_out:
                yield other


def _stands_in(
    config: CacheConfig,
    links_of: _LinkSets,
    other: int,
    number: int,
    children: Sequence[tuple[int, int, str]],
) -> bool:
    pairs = zip(links_of.of(number), links_of.of(other), strict=True)
    return (
        all(mine <= theirs for mine, theirs in pairs)
        and all((other, selector) in links_of.of(child)[i] for child, i, selector in children)
        and _is_as_new(config.records[other], config.records[number])
    )


def _is_as_new(other: CacheRecord, record: CacheRecord) -> bool:
    if not record.results:
        return True
    if not other.results:
        return False
    theirs, mine = other.results[0], record.results[0]
    return theirs == mine or theirs.created_at > mine.created_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """A smaller config, and how many records it lost beside the redundant ones."""

    config: CacheConfig
    dead: int = 0
    """Records that had no result, and nothing that depends on them had one."""
    old: int = 0
    """Records of the oldest branches."""


def tidy(config: CacheConfig) -> Compaction:
    """Drop the records that no build can miss: redundant ones and dead ones."""
    covered = covered_records(config)
    lean = _without(config, covered)
    alive = _alive(lean, range(len(lean.records)))
    return Compaction(config=_only(lean, alive), dead=len(lean.records) - len(alive))


def shrink(config: CacheConfig, fits: Callable[[CacheConfig], bool]) -> Compaction:
    """Drop what no build can miss, then as few of the oldest records as make the rest fit.

    The age of a record is that of the newest result among itself and all that depends on it. Of
    records of one age the deepest goes first. So a record never outlives what it depends on, and
    the rest answers as before. If no part fits, the config is empty.
    """
    tidied = tidy(config)
    lean = tidied.config
    if fits(lean):
        return tidied
    order = _oldest_first(lean)

    def rest(dropped: int) -> CacheConfig:
        return _only(lean, _alive(lean, order[dropped:]))

    too_few, enough = 0, len(order)
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if fits(rest(middle)):
            enough = middle
        else:
            too_few = middle
    left = rest(enough)
    return replace(tidied, config=left, old=len(lean.records) - len(left.records))


def _oldest_first(config: CacheConfig) -> list[int]:
    """Give the numbers of the records; each has a result or leads to one."""
    newest: dict[int, Timestamp] = {}
    depth = [0] * len(config.records)
    order = _parents_first(config)
    for number in order:
        links = _parents(config.records[number])
        depth[number] = 1 + max((depth[link] for link in links), default=-1)
    for number in reversed(order):
        record = config.records[number]
        times = [result.created_at for result in record.results]
        if number in newest:
            times.append(newest[number])
        newest[number] = max(times)
        for link in _parents(record):
            newest[link] = max(newest.get(link, newest[number]), newest[number])
    return sorted(order, key=lambda number: (newest[number], -depth[number], number))


def _alive(config: CacheConfig, numbers: Collection[int]) -> list[int]:
    """Give the records that have a result, or that something with a result depends on."""
    records = config.records
    alive: set[int] = set()
    pending = [number for number in numbers if records[number].results]
    while pending:
        number = pending.pop()
        if number not in alive:
            alive.add(number)
            pending += _parents(records[number])
    return sorted(alive)


def _only(config: CacheConfig, numbers: Sequence[int]) -> CacheConfig:
    """Give the config with these records, in their order, and with the layers that they need."""
    if len(numbers) == len(config.records):
        return config
    layers = sorted(_needed_layers(config, numbers))
    new_layer = {old: new for new, old in enumerate(layers)} | {NO_PARENT: NO_PARENT}
    new_record = {old: new for new, old in enumerate(numbers)}
    return CacheConfig(
        layers=tuple(
            replace(config.layers[old], parent=new_layer[config.layers[old].parent])
            for old in layers
        ),
        records=tuple(_renumbered(config.records[old], new_record, new_layer) for old in numbers),
    )


def _needed_layers(config: CacheConfig, numbers: Sequence[int]) -> set[int]:
    needed: set[int] = set()
    for number in numbers:
        for result in config.records[number].results:
            layer = result.layer
            while layer != NO_PARENT and layer not in needed:
                needed.add(layer)
                layer = config.layers[layer].parent
    return needed


def _renumbered(
    record: CacheRecord, new_record: dict[int, int], new_layer: dict[int, int]
) -> CacheRecord:
    return replace(
        record,
        results=tuple(replace(item, layer=new_layer[item.layer]) for item in record.results),
        inputs=tuple(
            tuple(replace(link, link=new_record[link.link]) for link in links)
            for links in record.inputs
        ),
    )


def _without(config: CacheConfig, covered: Collection[int]) -> CacheConfig:
    """Give the config without these records and without links to them."""
    if not covered:
        return config
    records = tuple(
        replace(
            record,
            inputs=tuple(
                tuple(link for link in links if link.link not in covered) for links in record.inputs
            ),
        )
        for record in config.records
    )
    kept = [number for number in range(len(records)) if number not in covered]
    return _only(replace(config, records=records), kept)


def _parents(record: CacheRecord) -> list[int]:
    return [link.link for links in record.inputs for link in links]


def _parents_first(config: CacheConfig) -> list[int]:
    waiting = [len(set(_parents(record))) for record in config.records]
    children: list[list[int]] = [[] for _ in config.records]
    for number, record in enumerate(config.records):
        for link in set(_parents(record)):
            children[link].append(number)
    order = [number for number, count in enumerate(waiting) if not count]
    for number in order:
        for child in children[number]:
            waiting[child] -= 1
            if not waiting[child]:
                order.append(child)
    return order
