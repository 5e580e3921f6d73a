"""What one cache has and another has not, and where two builds parted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from cachexport.model.chains import CacheChains, CacheRecord, CacheResult
from cachexport.oci.descriptor import DESCRIPTION

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from cachexport.model.envelope.cache import Cache

    Links = Collection[tuple[CacheRecord, str]]
    Newest = dict[CacheRecord, CacheResult | None]


class Pairing:
    """Finds which newer record took the place of which older one.

    Takes the older records. Parents are paired first, then records by the pairs of their parents.
    """

    def __init__(self, gone: Iterable[CacheRecord]) -> None:
        self.old: dict[CacheRecord, CacheRecord] = {}
        """By newer record, the older one."""
        self._taken: set[CacheRecord] = set()
        self._by_source: dict[object, list[CacheRecord]] = {}
        self._by_digest: dict[object, list[CacheRecord]] = {}
        for record in gone:
            self._by_digest.setdefault((record.digest, len(record.parents)), []).append(record)
            for src, _ in record.parents[0] if record.parents else ():
                self._by_source.setdefault((src, len(record.parents)), []).append(record)
            for index, links in enumerate(record.parents):
                for src, _ in links:
                    key = (record.digest, len(record.parents), index, src)
                    self._by_source.setdefault(key, []).append(record)

    def pair(self, gained: Collection[CacheRecord]) -> None:
        """Pair the newer records, parents before children."""
        order = sorted(gained, key=lambda record: (record.level, record.sequence))
        for record in order:
            self._take(record, self._alike(record))
        rivals: dict[CacheRecord, list[CacheRecord]] = {}
        for record in order:
            places = self._same_place(record) if record not in self.old else []
            if len(places) == 1:
                rivals.setdefault(places[0], []).append(record)
        for old, [record, *others] in rivals.items():
            if not others:
                self._take(record, old)
        for record in order:
            if record not in self.old:
                self._take(record, self._alike(record))

    def changed_inputs(self, record: CacheRecord) -> list[int]:
        """Give the inputs, as positions, in which a paired record differs from its older one."""
        pairs = zip(record.parents, self.old[record].parents, strict=True)
        return [index for index, (new, old) in enumerate(pairs) if not self.is_same(new, old)]

    def is_same(self, new: Links, old: Links) -> bool:
        """Say whether two inputs share a link; paired records count as the same."""
        return any(link in old or self._aged(link) in old for link in new)

    def _aged(self, link: tuple[CacheRecord, str]) -> tuple[CacheRecord, str]:
        src, selector = link
        return self.old.get(src, src), selector

    def _take(self, record: CacheRecord, old: CacheRecord | None) -> None:
        if old is not None:
            self.old[record] = old
            self._taken.add(old)

    def _free(self, key: object) -> Iterator[CacheRecord]:
        return (old for old in self._by_source.get(key, ()) if old not in self._taken)

    def _alike(self, record: CacheRecord) -> CacheRecord | None:
        """Give the old record of the same digest that shares most inputs, or the only one."""
        shape = (record.digest, len(record.parents))
        if not record.parents:
            return None
        votes: dict[CacheRecord, int] = {}
        for index, links in enumerate(record.parents):
            sources = {src for link in links for src, _ in (link, self._aged(link))}
            for old in {old for src in sources for old in self._free((*shape, index, src))}:
                votes[old] = votes.get(old, 0) + 1
        if votes:
            return max(votes, key=lambda old: (votes[old], -old.sequence))
        only = [old for old in self._by_digest.get(shape, ()) if old not in self._taken]
        return only[0] if len(only) == 1 else None

    def _same_place(self, record: CacheRecord) -> list[CacheRecord]:
        """Give the old records that share all inputs with a record, but have another digest."""
        if not record.parents:
            return []
        count = len(record.parents)
        sources = {src for link in record.parents[0] for src, _ in (link, self._aged(link))}
        near = {old for src in sources for old in self._free((src, count))}
        return [
            old
            for old in near
            if old.digest != record.digest and all(map(self.is_same, record.parents, old.parents))
        ]


class Reason(StrEnum):
    """Why a build did not find what it had before."""

    DIGEST = "digest"
    """Another step was done on the same inputs."""
    INPUT = "input"
    """The same step was done on another input."""
    SELECTOR = "selector"
    """The same step was done on another part of the same input."""
    NEW = "new"
    """A new record that replaces none."""
    GONE = "gone"
    """A lost record that none replaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstChange:
    """A record that changed although the records that it depends on did not."""

    reason: Reason
    digest: str
    was: str = ""
    """The old digest, for Reason.DIGEST."""
    index: int | None = None
    """The input that changed, counted from 0."""
    before: tuple[str, ...] = ()
    """What the input was before: digests of records, or selectors."""
    after: tuple[str, ...] = ()
    description: str = ""
    """The build step, if a layer says; else empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordChange:
    """A record with its newest result on either side; None without one."""

    digest: str
    before: CacheResult | None
    after: CacheResult | None

    @property
    def description(self) -> str:
        """The build step that made the layer, if one says; else empty."""
        return _description(self.after) or _description(self.before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The totals of one side; `size` is the bytes of its distinct blobs."""

    records: int
    results: int
    blobs: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobCount:
    """Distinct blobs and their bytes."""

    count: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How B differs from A."""

    a: Side
    b: Side
    common: int
    """Records that both have."""
    gained: tuple[RecordChange, ...]
    lost: tuple[RecordChange, ...]
    changed: tuple[RecordChange, ...]
    """Records of both with different newest results, or with one on one side only."""
    first: tuple[FirstChange, ...]
    gained_blobs: BlobCount
    lost_blobs: BlobCount

    @property
    def is_empty(self) -> bool:
        """Whether both have the same records and newest results."""
        return not (self.gained or self.lost or self.changed)


def diff_caches(a: Sequence[Cache], b: Sequence[Cache]) -> Difference:
    """Compare two sources, each the union of its caches.

    Raises WireFormat or Loop when the records of one are no graph.
    """
    chains = CacheChains()
    chains.merged = True
    for caches in (a, b):
        _added(chains, caches)
    # Merging may unite records later. Now that all links are known, each is found as it ended up.
    before, after = _added(chains, a), _added(chains, b)
    gained = [record for record in after if record not in before]
    lost = [record for record in before if record not in after]
    changed = [r for r in before if r in after and not _is_same(before[r], after[r])]
    old_blobs, new_blobs = _blobs(a), _blobs(b)
    return Difference(
        a=_side(before, old_blobs),
        b=_side(after, new_blobs),
        common=len(before) - len(lost),
        gained=tuple(_change(record, before, after) for record in gained),
        lost=tuple(_change(record, before, after) for record in lost),
        changed=tuple(_change(record, before, after) for record in changed),
        first=tuple(_first_changes(before, after)),
        gained_blobs=_without(new_blobs, old_blobs),
        lost_blobs=_without(old_blobs, new_blobs),
    )


def _added(chains: CacheChains, caches: Iterable[Cache]) -> Newest:
    """Merge caches into a graph; give the records that theirs became, with the newest result."""
    newest: Newest = {}
    for cache in caches:
        for record, results in chains.merge(cache.config, cache.layers, cache.provider):
            both = [result for result in (newest.get(record), *results) if result is not None]
            newest[record] = max(both, key=lambda result: result.created_at, default=None)
    return newest


def _is_same(one: CacheResult | None, other: CacheResult | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.created_at == other.created_at and one.remote.key == other.remote.key


def _change(record: CacheRecord, before: Newest, after: Newest) -> RecordChange:
    return RecordChange(digest=record.digest, before=before.get(record), after=after.get(record))


def _first_changes(before: Newest, after: Newest) -> Iterator[FirstChange]:
    # A build that did not find a record often exports it all the same, without a result.
    gone = [r for r in before if r not in after or (before[r] and not after[r])]
    come = [r for r in after if r not in before or (after[r] and not before[r])]
    pairing = Pairing(gone)
    pairing.pair(come)
    shown: set[str] = set()
    changes = []
    for record in sorted(pairing.old, key=lambda record: (record.level, record.sequence)):
        for change in _changes(pairing, record, after[record]):
            changes.append(change)
            shown.update((*change.before, *change.after))
    yield from changes
    lone = [(Reason.NEW, r, after[r]) for r in come if r not in pairing.old and r not in before]
    paired = set(pairing.old.values())
    lone += [(Reason.GONE, r, before[r]) for r in gone if r not in paired and r not in after]
    for reason, record, result in lone:
        parents = {src for links in record.parents for src, _ in links}
        if record.digest not in shown and all(src in before and src in after for src in parents):
            yield FirstChange(reason=reason, digest=record.digest, description=_description(result))


def _changes(
    pairing: Pairing, record: CacheRecord, result: CacheResult | None
) -> Iterator[FirstChange]:
    old, description = pairing.old[record], _description(result)
    if old.digest != record.digest:
        yield FirstChange(
            reason=Reason.DIGEST, digest=record.digest, was=old.digest, description=description
        )
    for index in pairing.changed_inputs(record):
        was, now = old.parents[index], record.parents[index]
        sources = {pairing.old.get(src, src) for src, _ in now} & {src for src, _ in was}
        reason = Reason.SELECTOR if sources else Reason.INPUT
        part = 1 if sources else 0
        yield FirstChange(
            reason=reason,
            digest=record.digest,
            index=index,
            before=_texts(link[part] for link in was),
            after=_texts(link[part] for link in now),
            description=description,
        )


def _texts(items: Iterable[CacheRecord | str]) -> tuple[str, ...]:
    return tuple(sorted({item.digest if isinstance(item, CacheRecord) else item for item in items}))


def _description(result: CacheResult | None) -> str:
    return "" if result is None else result.remote.descriptor.annotations.get(DESCRIPTION, "")


def _blobs(caches: Iterable[Cache]) -> dict[str, int]:
    return {str(desc.digest): desc.size for cache in caches for desc in cache.layers}


def _side(newest: Newest, blobs: Mapping[str, int]) -> Side:
    results = sum(result is not None for result in newest.values())
    return Side(records=len(newest), results=results, blobs=len(blobs), size=sum(blobs.values()))


def _without(some: Mapping[str, int], others: Mapping[str, int]) -> BlobCount:
    sizes = [size for digest, size in some.items() if digest not in others]
    return BlobCount(count=len(sizes), size=sum(sizes))
