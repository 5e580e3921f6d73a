"""Reading caches from sources. Some may not exist yet."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from cachexport.content.progress import silent, step
from cachexport.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cachexport.content.progress import Progress
    from cachexport.contract.backend import Source
    from cachexport.model.envelope.cache import Cache

_log = logging.getLogger(__name__)


def load_caches(sources: Iterable[tuple[str, Source]], progress: Progress = silent) -> list[Cache]:
    """Read the caches of all sources, each given with its name for messages.

    Raises as `load_named` does.
    """
    return [cache for _, caches in load_named(sources, progress) for cache in caches]


def load_named(
    sources: Iterable[tuple[str, Source]], progress: Progress = silent
) -> list[tuple[str, Sequence[Cache]]]:
    """Read the caches of sources that are given with their names; give them with these.

    Of several sources one that is not there is a warning: before its first build there is no
    cache. Raises NotFound when none is there, and whatever is wrong with one that is.
    """
    loaded: list[tuple[str, Sequence[Cache]]] = []
    absent: list[str] = []
    for name, source in sources:
        try:
            with step(progress, f"importing cache manifest from {name}"):
                found = source.load()
        except NotFound as error:
            absent.append(f"{name}: {error}")
            continue
        if found:
            loaded.append((name, found))
        else:
            absent.append(f"{name}: the image has no inline cache")
    if not loaded:
        raise NotFound("no cache to import: " + "; ".join(absent or ["no source was given"]))
    for reason in absent:
        _log.warning("skipping %s", reason)
    return loaded


def numbered(name: str, number: int, count: int) -> str:
    """Name one of the caches that a source has."""
    return name if count == 1 else f"{name} ({number} of {count})"
