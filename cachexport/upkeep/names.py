"""The names of a place: listing, removing and touching those that match a pattern."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING

from cachexport.content.parallel import map_parallel
from cachexport.contract.names import THREADS, find, meant, newest_result
from cachexport.contract.place import Hosting, Sweepable
from cachexport.errors import (
    ChainError,
    ContentError,
    FailedPrecondition,
    NotFound,
    PluginError,
    WireFormat,
)
from cachexport.model.chains.tie import untied
from cachexport.model.envelope.cache import WrappedCache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cachexport.contract.place import Contents, Entry, Place
    from cachexport.errors import CachexportError
    from cachexport.oci.digest import Digest

IMAGE = "image"
NO_CACHE = "none"
DAMAGED = "damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCache:
    """A name, and a summary of its cache."""

    name: str
    time: float | None
    """Seconds since 1970: when it was written, or else its newest result; None if unknown."""
    kind: str
    """The form of a cache, or IMAGE, DAMAGED when it cannot be read, NO_CACHE for anything else."""
    digest: Digest | None = None
    """The manifest's."""
    size: int = 0
    """Bytes of all blobs that it needs."""
    records: int = 0
    layers: int = 0
    fault: str = ""
    """Why it is DAMAGED."""


def list_names(place: Place, pattern: str = "*") -> list[NamedCache]:
    """Describe the names that match a pattern, images too, newest first.

    A damaged one is listed with its fault. Raises NotFound when there is no such place.
    """
    return _listed(place, [*place.entries(), *apart(place)], pattern)


def list_caches(place: Place, pattern: str = "*") -> list[NamedCache]:
    """Describe the names of caches only, else as `list_names`."""
    found = _listed(place, place.entries(), pattern)
    return [item for item in found if item.kind not in (IMAGE, NO_CACHE)]


def apart(place: Place) -> list[Entry]:
    """List the names of images, sorted, in a place that keeps them apart from caches."""
    return place.assigned() if isinstance(place, Hosting) else []


def _listed(place: Place, listed: Sequence[Entry], pattern: str) -> list[NamedCache]:
    entries = [entry for entry in listed if fnmatchcase(entry.name, pattern)]
    found = map_parallel(partial(_describe, place), entries, THREADS)
    return sorted((item for item in found if item is not None), key=_newest_first)


def remove_names(
    place: Place,
    pattern: str,
    *,
    force: bool = False,
    dry_run: bool = False,
    removed: Callable[[str], None] = lambda name: None,
) -> list[str]:
    """Remove the name that equals the pattern, else all that match it, and give them.

    Only with `force` this removes what is damaged or no cache, and the images that a place keeps
    apart. `removed` is called with each name that was removed, or with `dry_run` would be. Raises
    NotFound when no name matches. Names that could not be removed do not keep the others: then it
    raises FailedPrecondition, or an ExceptionGroup for several.
    """
    images = find(apart(place), pattern) if force else []
    entries = find(place.entries(), pattern) if images else meant(place, pattern)
    if not force:
        map_parallel(partial(_check_cache, place), entries, THREADS)
    refused: dict[str, CachexportError] = {}
    for going in (entries, images) if not dry_run else ():
        refused |= place.withdraw(going) if going else {}
    gone = sorted({entry.name for entry in (*entries, *images)} - refused.keys())
    for name in gone:
        removed(name)
    if len(refused) == 1:
        raise next(iter(refused.values()))
    if refused:
        raise ExceptionGroup("some names stay", list(refused.values()))
    return gone


def touch_names(place: Place, pattern: str) -> int:
    """Renew the age of matching names and of their blobs; give the number of blobs.

    Raises NotFound when no name matches or a blob is gone, PluginError where nothing has an age.
    """
    if not isinstance(place, Sweepable):
        raise PluginError(f"nothing in {place.title} has an age that could be renewed")
    touched: set[Digest] = set()
    for entry in meant(place, pattern):
        contents = place.contents(entry)
        gone = place.touch(entry, contents.sizes)
        lost = gone & {desc.digest for cache in contents.caches for desc in cache.layers}
        if lost:
            raise NotFound(
                f"{entry.name!r} in {place.title} needs {len(lost)} blobs that are not there, such "
                f"as {min(lost)}; `cachexport repair` rewrites it without them"
            )
        touched |= contents.sizes.keys() - gone
    return len(touched)


def _check_cache(place: Place, entry: Entry) -> None:
    try:
        is_cache = bool(place.contents(entry).caches)
    except NotFound:
        return
    except (ChainError, ContentError, WireFormat) as error:
        error.add_note(f"with --force {entry.name!r} is removed all the same")
        raise
    if not is_cache:
        message = f"{entry.name!r} in {place.title} is no cache but something else"
        raise FailedPrecondition(f"{message}; with --force it is removed all the same")


def _describe(place: Place, entry: Entry) -> NamedCache | None:
    try:
        return _described(entry, place.contents(entry))
    except NotFound:
        return None
    except (ChainError, ContentError, WireFormat) as error:
        fault = str(error)
        return NamedCache(name=entry.name, time=entry.modified, kind=DAMAGED, fault=fault)


def _described(entry: Entry, contents: Contents) -> NamedCache:
    size = sum(contents.sizes.values())
    if not contents.caches:
        kind = IMAGE if contents.is_image else NO_CACHE
        return NamedCache(name=entry.name, time=entry.modified, kind=kind, size=size)
    cache = contents.caches[0]
    made = newest_result(cache.config)
    wrapped = cache.wrapped if isinstance(cache, WrappedCache) else None
    return NamedCache(
        name=entry.name,
        time=entry.modified if entry.modified is not None or made is None else made.seconds,
        kind=wrapped.form if wrapped else "inline",
        digest=wrapped.descriptor.digest if wrapped else None,
        size=size,
        records=len(untied(cache.config).records),
        layers=len(cache.config.layers),
    )


def _newest_first(item: NamedCache) -> tuple[float, str]:
    return (-(item.time or 0.0), item.name)
