"""A place that is read: the store, or what stands behind it."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from cachexport.contract.place import Hosting, Place
from cachexport.errors import (
    BackendError,
    CachexportError,
    NotFound,
    PluginError,
    TransferError,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cachexport.gateway.shelf.names import Naming

AWAY = 30.0
"""Seconds for which a place that is away is not asked again: each question takes its time."""

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class HostingPlace(Hosting, Place, Protocol):
    """A Place that is Hosting, for type checkers."""


def hosting(place: Place) -> HostingPlace:
    """Give the place as one that can be served. Raises PluginError."""
    if not isinstance(place, Hosting):
        raise PluginError(
            f"{place.title} takes no blobs before they have a name, so it cannot be served; ask "
            "the authors of its backend for what docs/plugins.md calls Hosting"
        )
    return cast("HostingPlace", place)


class Source:
    """A place that is read. Threads may share it.

    What another place than the store lacks is no reason to fail, and neither is that it is away:
    a build can do without a cache.
    """

    def __init__(
        self,
        place: HostingPlace,
        *,
        is_store: bool = False,
        naming: Naming | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.place = place
        self.is_store = is_store
        self.naming = naming
        """How names are spelled there, if not as in the store."""
        self._monotonic = monotonic
        self._away_until = 0.0

    def ask(self, work: Callable[[Source], _T]) -> _T:
        """Give what `work` gives. Raises NotFound, and what the store raises."""
        if self._monotonic() < self._away_until:
            kind = Unavailable if self.is_store else NotFound
            raise kind(f"{self.place.title} does not answer")
        try:
            return work(self)
        except NotFound:
            raise
        except CachexportError as error:
            if self.is_store:
                raise
            self._pass_over(error)
            raise NotFound(f"{self.place.title} has no answer") from error

    def leave(self, seconds: float) -> None:
        """Do not ask it for a while: it did not answer."""
        self._away_until = self._monotonic() + seconds

    def _pass_over(self, error: CachexportError) -> None:
        if _is_away(error):
            self.leave(AWAY)
        _log.warning("passing over %s: %s", self.place.title, error)


def _is_away(error: CachexportError) -> bool:
    """Say whether a place is not to be had, rather than that it does not like the question."""
    if isinstance(error, BackendError):
        return error.temporary or error.exhausted
    return isinstance(error, TransferError | Unavailable)


def first(sources: Iterable[Source], work: Callable[[Source], _T], what: str) -> _T:
    """Give what the first place has that has it. Raises as `ask` does."""
    for source in sources:
        with suppress(NotFound):
            return source.ask(work)
    raise NotFound(f"there is no {what}")


def sources(store: HostingPlace, upstream: Iterable[HostingPlace] = ()) -> list[Source]:
    """Give what is read in front of a store, in order."""
    return [Source(store, is_store=True), *map(Source, upstream)]
