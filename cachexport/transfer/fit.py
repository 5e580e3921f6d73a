"""Making a cache fit the limits of whoever imports it."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cachexport.errors import FailedPrecondition
from cachexport.model.chains import CacheChains
from cachexport.model.chains.compact import Compaction, shrink, tidy
from cachexport.model.chains.tie import is_tied, tie_ends, untied
from cachexport.model.envelope.manifest import IMPORT_LIMIT, encode_manifest, size_note
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.mediatype import CACHE_CONFIG_V0
from cachexport.transfer.prepare import marshalled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.contract.export import CommonExport
    from cachexport.model.config import CacheConfig
    from cachexport.model.envelope.cache import WrappedCache
    from cachexport.model.envelope.manifest import Form
    from cachexport.oci.timestamp import Timestamp


_log = logging.getLogger(__name__)
_HINT = "; mode=min keeps fewer results, and a tag for each part of the build keeps each small"


def fit_size(cache: WrappedCache, common: CommonExport, limit: int | None) -> WrappedCache:
    """Give what is to be written where BuildKit imports `limit` bytes at most, None for any.

    One that is too large is made smaller with `on-oversize=compact`, unless its bytes are those
    that were read, which are kept; a warning says what was dropped, or that it is too large.
    Raises FailedPrecondition with `on-oversize=fail`.
    """
    notes = [] if limit is None else list(_notes(cache, limit))
    if limit is None or not notes:
        return cache
    if not any(size > limit for size, _ in notes):
        for _, note in notes:
            _log.info(note)
        return cache
    told = next(note for size, note in notes if size > limit)
    if common.on_oversize == "fail":
        raise FailedPrecondition(told + _HINT)
    if common.on_oversize == "compact" and not cache.as_read:
        smaller, loss = fit(cache, Limits(size=limit))
        if smaller.config.layers:
            raw = (cache.wrapped.config, cache.wrapped.manifest)
            config, manifest = (f"{len(part):,}" for part in raw)
            who = "BuildKit imports" if limit == IMPORT_LIMIT else "wanted are"
            most = f"{who} {limit:,} bytes of config or manifest at most"
            _log.warning("%s, this has %s and %s: %s", most, config, manifest, loss)
            return smaller
    _log.warning(told + _HINT)
    return cache


def _notes(cache: WrappedCache, limit: int) -> Iterator[tuple[int, str]]:
    wrapped = cache.wrapped
    for kind, raw in (("config", wrapped.config), ("manifest", wrapped.manifest)):
        note = size_note(kind, len(raw), limit)
        if note is not None:
            yield len(raw), note


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a cache may have at most; None is any."""

    size: int | None = None
    """Bytes of the config, and of the manifest."""
    layers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What was dropped from a cache."""

    covered: int
    """Redundant records: another one answers all that they answer."""
    dead: int
    """Records from which no result could be reached."""
    old: int
    """Records of the oldest branches."""
    results: int
    layers: int
    size: int
    """Bytes of the blobs that are no longer needed."""
    oldest: Timestamp | None
    """When the oldest of the dropped results was made."""
    newest: Timestamp | None

    @property
    def records(self) -> int:
        """How many records were dropped."""
        return self.covered + self.dead + self.old

    def __str__(self) -> str:
        text = (
            f"dropped {self.records:,} records, {self.results:,} results and "
            f"{self.layers:,} layers ({self.size:,} bytes)"
        )
        return f"{text}, made {self.oldest} to {self.newest}" if self.results else text


def fit(
    cache: WrappedCache, limits: Limits, before: CacheConfig | None = None
) -> tuple[WrappedCache, Loss]:
    """Drop from a marshalled cache what no build can miss, then the oldest, until the rest fits.

    Nothing but empty is left when no part of it fits. The form stays. The loss is what `before`
    had more, by default the cache.
    """
    form = cache.wrapped.form
    config = untied(cache.config)
    measure = _Measure(form, cache.layers, is_tied=is_tied(cache.config))
    smaller = limits
    while True:
        compaction = _compaction(config, smaller, measure)
        fitted = _written(compaction.config, cache)
        overhang = _overhang(fitted, limits)
        if not overhang or not fitted.config.records:
            return fitted, _loss(untied(before or config), compaction, fitted.config, cache.layers)
        # Numbers of other digits stand where the order is another one, a few bytes at most.
        assert smaller.size is not None
        smaller = Limits(size=smaller.size - overhang, layers=limits.layers)


def _compaction(config: CacheConfig, limits: Limits, measure: _Measure) -> Compaction:
    if limits.size is None and limits.layers is None:
        return tidy(config)
    return shrink(config, lambda part: measure.fits(part, limits))


def _written(config: CacheConfig, cache: WrappedCache) -> WrappedCache:
    chains = CacheChains.parse(config, cache.layers, cache.provider)
    chains.merged = is_tied(cache.config)
    return marshalled(chains, cache.wrapped.form)


def _overhang(cache: WrappedCache, limits: Limits) -> int:
    size = max(len(cache.wrapped.config), len(cache.wrapped.manifest))
    return 0 if limits.size is None else max(size - limits.size, 0)


class _Measure:
    """Says how large config and manifest would be, without writing every descriptor again."""

    def __init__(self, form: Form, layers: Sequence[Descriptor], *, is_tied: bool) -> None:
        self._form = form
        self._is_tied = is_tied
        empty, comma = self._manifest(()), 1
        self._each = {str(desc.digest): self._manifest((desc,)) - empty + comma for desc in layers}

    def fits(self, config: CacheConfig, limits: Limits) -> bool:
        """Say whether a part of the cache, untied, is within the limits."""
        if limits.layers is not None and len(config.layers) > limits.layers:
            return False
        if limits.size is None:
            return True
        raw = (tie_ends(config) if self._is_tied else config).encode()
        layers = sum(self._each[layer.blob] for layer in config.layers)
        return max(len(raw), self._manifest((), len(raw)) + layers) <= limits.size

    def _manifest(self, layers: Sequence[Descriptor], config_size: int = 0) -> int:
        config = replace(Descriptor.of(b"", CACHE_CONFIG_V0), size=config_size)
        return len(encode_manifest(self._form, layers, config))


def _loss(
    before: CacheConfig, compaction: Compaction, written: CacheConfig, descs: Sequence[Descriptor]
) -> Loss:
    after = untied(written)
    blobs = {layer.blob for layer in before.layers} - {layer.blob for layer in after.layers}
    sizes = {str(desc.digest): desc.size for desc in descs}
    times = list((Counter(_times(before)) - Counter(_times(after))).elements())
    others = compaction.dead + compaction.old
    return Loss(
        covered=len(before.records) - len(after.records) - others,
        dead=compaction.dead,
        old=compaction.old,
        results=len(times),
        layers=len(before.layers) - len(after.layers),
        size=sum(sizes.get(blob, 0) for blob in blobs),
        oldest=min(times, default=None),
        newest=max(times, default=None),
    )


def _times(config: CacheConfig) -> list[Timestamp]:
    stacked = [result.created_at for record in config.records for result in record.results]
    chained = [item.created_at for record in config.records for item in record.chained_results]
    return stacked + chained
