"""Records that another one stands in for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from cachexport.model.config.model import CacheConfig, CacheRecord


def covered_records(config: CacheConfig) -> set[int]:
    """Give the records that another one stands in for, in every question and with every answer.

    Such are left where records were joined: the other has all of its links, its children and a
    newer result or the same.
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
    """The links of records as sets, and which records share one."""

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
