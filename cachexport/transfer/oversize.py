"""What becomes of a cache that is too large for BuildKit to import."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from cachexport.errors import FailedPrecondition
from cachexport.model.envelope.size import IMPORT_LIMIT, size_note
from cachexport.transfer.fit import Limits, fit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cachexport.contract.export import CommonExport
    from cachexport.model.envelope.cache import WrappedCache

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
