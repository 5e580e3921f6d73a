"""Which record of a newer graph stands where another one of an older graph stood."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from cachexport.model.chains import CacheRecord

    Links = Collection[tuple[CacheRecord, str]]


class Pairing:
    """Pairs of records, the later ones found by what they depend on."""

    def __init__(self, gone: Iterable[CacheRecord]) -> None:
        self.old: dict[CacheRecord, CacheRecord] = {}
        """By the newer record the older one."""
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
        """Find what the gained records stand for, parents before children."""
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
        """Give the inputs of a paired record that are others than those of its old one."""
        pairs = zip(record.parents, self.old[record].parents, strict=True)
        return [index for index, (new, old) in enumerate(pairs) if not self.is_same(new, old)]

    def is_same(self, new: Links, old: Links) -> bool:
        """Say whether two inputs have a link in common, records and their old ones being one."""
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
        """Give the old record of this digest that has most inputs in common, or is the only one."""
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
        """Give the old records that have all inputs of a record, but another digest."""
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
