"""Whether a cache is as large as demanded: a gate before others use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.model.chains.tie import untied

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.model.envelope.cache import Cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What is demanded of a cache; None demands nothing."""

    min_records: int | None = None
    min_results: int | None = None
    max_shrink: float | None = None
    """Percent by which records, and results, may be fewer than before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandCheck:
    """A demand, and whether it is met."""

    name: str
    """`min-records`, `min-results`, `shrink-records` or `shrink-results`."""
    holds: bool | None
    """None where there was nothing to compare with."""
    figure: float
    """How many there are, or by how many percent they shrank: below 0 if they grew."""
    limit: float
    text: str


@dataclass(frozen=True, slots=True)
class _Count:
    records: int
    results: int


def check_caches(
    caches: Sequence[Cache], demands: Demands, before: Sequence[Cache] | None = None
) -> list[DemandCheck]:
    """Check the caches of a source, together, each demand on its own.

    `before` is what they are compared with; without it nothing can have shrunk. A record counts
    as one result if it has any.
    """
    now = _counted(caches)
    return [
        *_least("records", now.records, demands.min_records),
        *_least("results", now.results, demands.min_results),
        *_shrinking(now, before, demands.max_shrink),
    ]


def _counted(caches: Sequence[Cache]) -> _Count:
    records = [record for cache in caches for record in untied(cache.config).records]
    results = sum(bool(record.results or record.chained_results) for record in records)
    return _Count(len(records), results)


def _least(kind: str, count: int, least: int | None) -> Iterator[DemandCheck]:
    if least is not None:
        text = f"{_counted_as(count, kind)}, wanted {least:,} at least"
        yield DemandCheck(
            name=f"min-{kind}", holds=count >= least, figure=count, limit=least, text=text
        )


def _shrinking(
    now: _Count, before: Sequence[Cache] | None, percent: float | None
) -> Iterator[DemandCheck]:
    if percent is None:
        return
    old = None if before is None else _counted(before)
    for kind in ("records", "results"):
        yield _shrunk(kind, getattr(now, kind), getattr(old, kind, None), percent)


def _shrunk(kind: str, now: int, old: int | None, percent: float) -> DemandCheck:
    name = f"shrink-{kind}"
    if old is None:
        text = f"{_counted_as(now, kind)}, no cache to compare with"
        return DemandCheck(name=name, holds=None, figure=0, limit=percent, text=text)
    shrunk = 100 * (old - now) / old if old else 0.0
    change = f"{abs(shrunk):.1f}% {'fewer' if shrunk > 0 else 'more'}" if now != old else "as many"
    text = f"{_counted_as(now, kind)} after {old:,}, {change}, wanted {percent:g}% fewer at most"
    # Without division, so that rounding cannot refuse exactly the allowed number.
    holds = 100 * (old - now) <= percent * old
    return DemandCheck(name=name, holds=holds, figure=shrunk, limit=percent, text=text)


def _counted_as(count: int, kind: str) -> str:
    return f"{count:,} {kind.removesuffix('s') if count == 1 else kind}"
