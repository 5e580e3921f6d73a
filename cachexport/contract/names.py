"""The names of a place: which of them a pattern matches, and which blobs each needs.

Blobs are numbered, so that the needs of thousands of names fit in memory.
"""

from __future__ import annotations

import threading
from array import array
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING

from cachexport.content.parallel import map_parallel
from cachexport.errors import ChainError, FailedPrecondition, Integrity, NotFound, WireFormat
from cachexport.oci.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cachexport.contract.place import Contents, Entry, Place
    from cachexport.model.config import CacheConfig
    from cachexport.oci.digest import Digest

THREADS = 8
"""How many names are read at once."""
_TOLD = 5


def meant(place: Place, name: str) -> list[Entry]:
    """Find the entry with exactly this name; if there is none, those that match it as a pattern.

    Raises NotFound when there is none.
    """
    found = find(place.entries(), name)
    if not found:
        raise _none(name, place)
    return found


def matching(place: Place, pattern: str) -> list[Entry]:
    """Give the entries whose names match a pattern. Raises NotFound when there is none."""
    found = [entry for entry in place.entries() if fnmatchcase(entry.name, pattern)]
    if not found:
        raise _none(pattern, place)
    return found


def find(entries: Sequence[Entry], name: str) -> list[Entry]:
    """Find the entry with exactly this name; if there is none, those that match it as a pattern."""
    exact = [entry for entry in entries if entry.name == name]
    return exact or [entry for entry in entries if fnmatchcase(entry.name, name)]


def _none(name: str, place: Place) -> NotFound:
    return NotFound(f"there is no name {name!r} in {place.title}")


@dataclass(slots=True)
class BlobTable:
    """Gives each digest a number, so that a digest many names need is stored once. Thread-safe."""

    numbers: dict[Digest, int] = field(default_factory=dict)
    sizes: array[int] = field(default_factory=lambda: array("q"))
    """Bytes, by number."""
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def add(self, sizes: Mapping[Digest, int]) -> array[int]:
        """Give the numbers of these blobs; a new blob gets the next number."""
        with self._guard:
            return array("I", [self._number(digest, size) for digest, size in sizes.items()])

    def total(self, numbers: Iterable[int]) -> int:
        """Give the bytes of numbered blobs."""
        return sum(self.sizes[number] for number in numbers)

    def _number(self, digest: Digest, size: int) -> int:
        number = self.numbers.setdefault(digest, len(self.sizes))
        if number == len(self.sizes):
            self.sizes.append(size)
        return number


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mark:
    """A name, and the numbers of the blobs that it needs."""

    place: Place
    entry: Entry
    is_cache: bool
    is_image: bool = False
    newest: float | None
    """Seconds since 1970 at which its newest result was made; only if the entry has no time."""
    blobs: array[int]

    @property
    def time(self) -> float | None:
        """Seconds since 1970 at which it was last written, or else `newest`; None if unknown."""
        return self.newest if self.entry.modified is None else self.entry.modified


def mark(place: Place, entries: Iterable[Entry], table: BlobTable) -> list[Mark]:
    """Read what the entries need. Entries that are gone by now are left out.

    Raises FailedPrecondition if one cannot be understood, since its needs are unknown then.
    """
    listed = list(entries)
    found = map_parallel(partial(_mark, place, table), listed, THREADS)
    problems = [str(item) for item in found if isinstance(item, str)]
    if problems:
        more = f"\n… and {len(problems) - _TOLD} more" if len(problems) > _TOLD else ""
        raise FailedPrecondition(
            f"not all names of {place.title} can be understood, so it is not known what they "
            "need; repair or remove them first:\n" + "\n".join(problems[:_TOLD]) + more
        )
    return [item for item in found if isinstance(item, Mark)]


def _mark(place: Place, table: BlobTable, entry: Entry) -> Mark | str | None:
    try:
        needs = place.needs(entry)
        # Without a time from the place, take that of the newest result.
        is_undated = needs.is_cache and entry.modified is None
        newest = _newest(place.contents(entry)) if is_undated else None
    except NotFound:
        return None
    except (ChainError, FailedPrecondition, Integrity, WireFormat) as error:
        return f"{entry.name}: {error}"
    return Mark(
        place=place,
        entry=entry,
        is_cache=needs.is_cache,
        is_image=needs.is_image,
        newest=newest,
        blobs=table.add(needs.sizes),
    )


def _newest(contents: Contents) -> float | None:
    times = [time for cache in contents.caches if (time := newest_result(cache.config))]
    return max(times).seconds if times else None


def newest_result(config: CacheConfig) -> Timestamp | None:
    """Give the time at which the newest result of a cache was made; None if no result has one."""
    times = [item.created_at for record in config.records for item in record.results]
    times += [item.created_at for record in config.records for item in record.chained_results]
    newest = max(times, default=Timestamp.ZERO)
    return None if newest == Timestamp.ZERO else newest


def pool(place: Place, name: str, newest: int | None = None) -> list[str]:
    """List the caches that `name` names or matches, newest first, at most `newest` of them.

    Raises as `meant` does, and FailedPrecondition when one cannot be understood.
    """
    entries = meant(place, name)
    marks = [item for item in mark(place, entries, BlobTable()) if item.is_cache]
    ordered = sorted(marks, key=_mark_order)
    return [item.entry.name for item in ordered][:newest]


def _mark_order(item: Mark) -> tuple[float, str]:
    return (-(item.time or 0.0), item.entry.name)
