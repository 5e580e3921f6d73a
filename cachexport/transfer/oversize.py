"""What becomes of a cache that is too large for BuildKit to import."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from cachexport.envelope.size import size_note
from cachexport.errors import FailedPrecondition

if TYPE_CHECKING:
    from cachexport.envelope.cache import WrappedCache
    from cachexport.spec import CommonExport

_log = logging.getLogger(__name__)
_HINT = "; mode=min keeps fewer results, and a tag for each part of the build keeps each small"


def check_size(cache: WrappedCache, common: CommonExport, limit: int | None) -> None:
    """Say what BuildKit will make of the size of config and manifest, `limit` bytes at most.

    Raises FailedPrecondition with `on-oversize=fail`.
    """
    if limit is None:
        return
    wrapped = cache.wrapped
    for kind, raw in (("config", wrapped.config), ("manifest", wrapped.manifest)):
        note = size_note(kind, len(raw))
        if note is None:
            continue
        if len(raw) <= limit:
            _log.info(note)
        elif common.on_oversize == "fail":
            raise FailedPrecondition(note + _HINT)
        else:
            _log.warning(note + _HINT)
