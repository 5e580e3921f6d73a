"""Making caches smaller, so that BuildKit imports them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cachexport.content.progress import silent, step
from cachexport.contract.export import CommonExport
from cachexport.errors import AlreadyExists, FailedPrecondition, NotFound
from cachexport.model.chains.tie import untied
from cachexport.model.envelope.cache import WrappedCache
from cachexport.transfer.fit import Limits, Loss, fit
from cachexport.transfer.merge import until_current
from cachexport.transfer.prepare import marshalled, merge_caches, prepare_chains
from cachexport.transfer.write import republish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachexport.content.progress import Progress
    from cachexport.contract.backend import Target
    from cachexport.contract.reading import (
        Current,
    )
    from cachexport.model.config import CacheConfig
    from cachexport.model.envelope.cache import Cache, Wrapped


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How large a cache is; sizes are in bytes."""

    records: int
    results: int
    layers: int
    blobs: int
    """Bytes of all distinct blobs."""
    config: int
    manifest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """A cache, what it was before, and what was dropped from it."""

    cache: WrappedCache
    before: Extent
    after: Extent
    loss: Loss


def compact_caches(caches: Sequence[Cache], limits: Limits) -> Compacted:
    """Merge caches into one that is within the limits; one that loses nothing keeps its bytes.

    First goes what no build can find, then the oldest branches; see `chains.compact`. Raises
    FailedPrecondition when no part fits, WireFormat or Loop for what is no graph.
    """
    marshalled_cache = _marshalled(caches)
    single = caches[0] if len(caches) == 1 else marshalled_cache
    before = single if isinstance(single, WrappedCache) else marshalled_cache
    fitted, loss = fit(marshalled_cache, limits, before.config)
    if not fitted.config.layers:
        raise FailedPrecondition(_nothing_left(before, limits))
    if not loss.records and not loss.results and not loss.layers and _is_within(before, limits):
        fitted = before
    return Compacted(cache=fitted, before=_extent(before), after=_extent(fitted), loss=loss)


def compact_in_place(target: Target, limits: Limits, progress: Progress = silent) -> Compacted:
    """Compact the cache of a target's name, without losing what others write meanwhile.

    Results whose blobs are gone are dropped too. Raises NotFound when the name does not exist,
    AlreadyExists when it is an image, and what `compact_caches` and writing raise.
    """

    def attempt() -> Compacted:
        with step(progress, "reading the cache to compact"):
            current = target.current()
        caches = [_there(cache, target) for cache in _replaceable(current)]
        found = compact_caches(caches, limits)
        if found.cache.wrapped != _last(current):
            republish(found.cache, target, current, progress)
        return found

    return until_current(attempt)


def _replaceable(current: Current) -> tuple[Cache, ...]:
    if not current.caches:
        raise NotFound("there is no cache under this name")
    if not all(isinstance(cache, WrappedCache) for cache in current.caches):
        raise AlreadyExists("the name is an image with an inline cache; write to another one")
    return current.caches


def _last(current: Current) -> Wrapped | None:
    [*_, last] = current.caches
    return last.wrapped if isinstance(last, WrappedCache) else None


def _there(cache: Cache, target: Target) -> Cache:
    gone = target.ingester.missing(cache.layers)
    if not gone:
        return cache
    return replace(cache, layers=tuple(desc for desc in cache.layers if desc.digest not in gone))


def _marshalled(caches: Sequence[Cache]) -> WrappedCache:
    chains = merge_caches(caches)
    [*_, last] = caches
    if isinstance(last, WrappedCache):
        return marshalled(chains, last.wrapped.form)
    return prepare_chains(chains, CommonExport())


def _is_within(cache: WrappedCache, limits: Limits) -> bool:
    size = max(len(cache.wrapped.config), len(cache.wrapped.manifest))
    return limits.size is None or size <= limits.size


def _extent(cache: WrappedCache) -> Extent:
    config = untied(cache.config)
    return Extent(
        records=len(config.records),
        results=_results(config),
        layers=len(config.layers),
        blobs=sum({desc.digest: desc.size for desc in cache.layers}.values()),
        config=len(cache.wrapped.config),
        manifest=len(cache.wrapped.manifest),
    )


def _results(config: CacheConfig) -> int:
    return sum(len(record.results) + len(record.chained_results) for record in config.records)


def _nothing_left(cache: WrappedCache, limits: Limits) -> str:
    if not cache.config.layers:
        return "the cache has no layers: there is nothing to keep"
    most = [f"{limits.size:,} bytes"] if limits.size is not None else []
    most += [f"{limits.layers:,} layers"] if limits.layers is not None else []
    within = " and ".join(most)
    return (
        f"no result with all that it depends on fits within {within}"
        if within
        else ("no record leads to a result whose layers are all there; remove the name instead")
    )
