"""One record of the graph, and what a caller says of it: links and results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cachexport.oci.timestamp import Timestamp

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from cachexport.model.chains.remote import Remote

Edge = tuple[str, int, str]
"""What a child hangs under: the selector, the number of its input, its digest."""
ResultKey = tuple[Timestamp, int, bytes]
"""What tells a result from others: its instant, the zone in which that is written, its layers."""


class CacheResult:
    """What a record gave: the layers, and when they were made."""

    __slots__ = ("created_at", "remote")

    created_at: Timestamp
    remote: Remote

    def __init__(self, created_at: Timestamp | dt.datetime | str, remote: Remote) -> None:
        self.created_at = Timestamp.of(created_at)
        self.remote = remote

    def __repr__(self) -> str:
        return f"CacheResult({str(self.created_at)!r}, {self.remote!r})"


@dataclass(frozen=True, slots=True)
class CacheLink:
    """That an input can be `src`; `selector` says which part of what it gave is read."""

    src: CacheRecord | None
    selector: str = ""


@dataclass(slots=True, eq=False)
class CacheRecord:
    """One thing done in a build, with everything that hangs under it.

    Callers get one from `CacheChains.add` and use it in links; only the chains change it.
    """

    digest: str
    owner: object = field(repr=False)
    """The chains that it belongs to."""
    sequence: int = field(repr=False)
    """Counts the records of a graph in the order in which they were added."""
    level: int = field(default=0, repr=False)
    """Greater than that of every parent: orders the graph, and keeps it free of loops."""
    parents: list[dict[tuple[CacheRecord, str], None]] = field(default_factory=list, repr=False)
    """For each input the alternatives, each a record and a selector."""
    children: dict[Edge, dict[CacheRecord, None]] = field(default_factory=dict, repr=False)
    results: dict[ResultKey, CacheResult] = field(default_factory=dict, repr=False)
    """In the order in which they were added."""

    def add_result(self, result: CacheResult) -> None:
        """Add a result unless the same is there.

        BuildKit takes two results of one instant and as many layers for the same; we compare
        the blobs too.
        """
        key = (result.created_at, result.created_at.offset, result.remote.key)
        self.results.setdefault(key, result)

    def newest_result(self) -> CacheResult | None:
        """Give the result that counts: the newest, of two with equal instants the first added."""
        return max(self.results.values(), key=lambda result: result.created_at, default=None)

    def newest_whole(self, is_whole: Callable[[Remote], bool]) -> CacheResult | None:
        """Give the result that counts in a merged graph, in whatever order they were added.

        It is the newest of which all layers are there, of several with equal instants the one
        with the smaller list of blobs.
        """
        whole = [result for result in self.results.values() if is_whole(result.remote)]
        if len(whole) < 2:
            return whole[0] if whole else None
        newest = max(result.created_at for result in whole)
        return min((result for result in whole if result.created_at == newest), key=_rank)


def _rank(result: CacheResult) -> tuple[list[str], int]:
    blobs = [str(desc.digest) for desc in result.remote.descriptors]
    return blobs, result.created_at.offset
