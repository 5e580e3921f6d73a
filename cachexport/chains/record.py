"""One record of the graph, and what a caller says of it: links and results."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cachexport.oci.timestamp import Timestamp

if TYPE_CHECKING:
    import datetime as dt

    from cachexport.chains.remote import Remote

Edge = tuple[str, int, str]
"""What a child hangs under: the selector, the number of its input, its digest."""


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
    results: dict[tuple[Timestamp, bytes], CacheResult] = field(default_factory=dict, repr=False)
    """By instant and layers, in the order in which they were added."""

    def add_result(self, result: CacheResult) -> None:
        """Add a result unless the same is there.

        BuildKit takes two results of one instant and as many layers for the same; we compare
        the blobs too.
        """
        self.results.setdefault((result.created_at, result.remote.key), result)

    def newest_result(self) -> CacheResult | None:
        """Give the result that counts: the newest, of two with equal instants the first added."""
        return max(self.results.values(), key=lambda result: result.created_at, default=None)
