"""Adding a record to the graph: finding an equal one, joining several equal ones, refusing loops.

Every link goes from a lower level to a higher one, so a path to a record only passes records of
lower levels. That answers most questions about loops without a search.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cachexport.model.chains.record import CacheRecord

    Inputs = Sequence[Sequence[tuple[CacheRecord, str]]]


@contextmanager
def without_collections() -> Iterator[None]:
    """Switch Python's garbage collector off in the block.

    A graph is many objects, none of them garbage. Python would scan them again and again while
    they are made, which takes a third of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def matching(digest: str, inputs: Inputs) -> list[CacheRecord]:
    """Give the records with this digest that have one of the links at every input."""
    if len(inputs) == 1 and len(inputs[0]) == 1:
        [[(src, selector)]] = inputs
        return list(src.children.get((selector, 0, digest), ()))
    hung = [
        [src.children.get((selector, index, digest), {}) for src, selector in links]
        for index, links in enumerate(inputs)
    ]
    # Many records of one digest may hang under one base: begin where there are the fewest.
    hung.sort(key=lambda sets: sum(map(len, sets)))
    fewest, *others = hung
    candidates = dict.fromkeys(record for records in fewest for record in records)
    return [
        record
        for record in candidates
        if all(any(record in records for records in sets) for sets in others)
    ]


def join(records: Sequence[CacheRecord], *, moving: bool = True) -> CacheRecord:
    """Make one record of several: their children and results move to it.

    The others stay records, with their parents and without children. BuildKit chooses any of them
    as the one; we choose the lowest, from which no loop can arise. Without `moving` the others keep
    their children too, so that builds still find those by links that only the others have.
    """
    main, *others = sorted(records, key=lambda record: (record.level, record.sequence))
    for other in others:
        _give_children(other, main, moving)
        for result in other.results.values():
            main.add_result(result)
    return main


def _give_children(source: CacheRecord, target: CacheRecord, moving: bool) -> None:
    # The source keeps its own list of children, as in BuildKit: it is no leaf because of this.
    for edge, children in source.children.items():
        target.children.setdefault(edge, {}).update(children)
        for child in children:
            _give_parent(child, source, target, moving)


def _give_parent(child: CacheRecord, old: CacheRecord, new: CacheRecord, moving: bool) -> None:
    for index, links in enumerate(child.parents):
        if any(src is old for src, _ in links):
            given = {(new if src is old else src, selector): None for src, selector in links}
            child.parents[index] = given if moving else {**links, **given}


def hang(record: CacheRecord, inputs: Inputs) -> None:
    """Link a record to its parents, but not to itself nor to a record that depends on it."""
    fresh = [
        (index, src, selector)
        for index, links in enumerate(inputs)
        for src, selector in links
        if record not in src.children.get((selector, index, record.digest), ())
    ]
    # A record without children, as nearly every new one is, leads to itself only.
    after = _after(record, {src for _, src, _ in fresh}) if record.children else {record}
    for index, src, selector in fresh:
        if src not in after:
            _link(src, index, selector, record)


def _link(src: CacheRecord, index: int, selector: str, record: CacheRecord) -> None:
    src.children.setdefault((selector, index, record.digest), {})[record] = None
    while len(record.parents) <= index:
        record.parents.append({})
    record.parents[index][(src, selector)] = None
    if record.level <= src.level:
        _raise_level(record, src.level + 1)


def _raise_level(record: CacheRecord, level: int) -> None:
    pending = [(record, level)]
    while pending:
        current, wanted = pending.pop()
        if current.level >= wanted:
            continue
        current.level = wanted
        pending += [(child, wanted + 1) for child in _children(current)]


def _after(start: CacheRecord, wanted: set[CacheRecord]) -> set[CacheRecord]:
    """Give the records of `wanted` that are `start` or depend on it."""
    highest = max((record.level for record in wanted), default=start.level)
    seen = {start}
    pending = [start] if highest > start.level else []
    while pending:
        for child in _children(pending.pop()):
            if child not in seen and child.level <= highest:
                seen.add(child)
                pending.append(child)
    return seen & wanted


def _children(record: CacheRecord) -> Iterable[CacheRecord]:
    return [child for children in record.children.values() for child in children]
