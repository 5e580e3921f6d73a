"""The places that are read, and the blobs of the first that has them."""

from __future__ import annotations

import io
import logging
import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from cachexport.content.clock import clock
from cachexport.content.protocols import Info, RangedProvider
from cachexport.content.verify import BLOCK
from cachexport.contract.place import Hosting, Place
from cachexport.errors import (
    BackendError,
    CachexportError,
    NotFound,
    PluginError,
    TransferError,
    Unavailable,
)
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cachexport.content.protocols import Reader
    from cachexport.contract.place import Content
    from cachexport.gateway.shelf.names import Naming
    from cachexport.oci.descriptor import Descriptor


AWAY = 30.0
"""Seconds for which an unreachable place is not asked again: each attempt costs a timeout."""

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class HostingPlace(Hosting, Place, Protocol):
    """A Place that is Hosting, for type checkers."""


def hosting(place: Place) -> HostingPlace:
    """Give the place as one that can be served. Raises PluginError unless it is Hosting."""
    if not isinstance(place, Hosting):
        raise PluginError(
            f"{place.title} takes no blobs before they have a name, so it cannot be served; ask "
            "the authors of its backend for what docs/plugins.md calls Hosting"
        )
    return cast("HostingPlace", place)


class Origin:
    """A place that is read: the store or an upstream. Threads may share it.

    An upstream that is unreachable counts as one without the content: a build can do without a
    cache.
    """

    def __init__(
        self,
        place: HostingPlace,
        *,
        is_store: bool = False,
        naming: Naming | None = None,
    ) -> None:
        self.place = place
        self.is_store = is_store
        self.naming = naming
        """How references map to its names, if not as in the store."""
        self._clock = clock()
        self._away_until = 0.0

    def ask(self, work: Callable[[Origin], _T]) -> _T:
        """Give what `work` gives. Raises NotFound; the store also raises its own errors."""
        if self._clock.monotonic() < self._away_until:
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
        """Do not ask this place for some seconds."""
        self._away_until = self._clock.monotonic() + seconds

    def _pass_over(self, error: CachexportError) -> None:
        if _is_away(error):
            self.leave(AWAY)
        _log.warning("passing over %s: %s", self.place.title, error)


def _is_away(error: CachexportError) -> bool:
    """Say whether an error means that the place is unreachable, not that it refused a request."""
    if isinstance(error, BackendError):
        return error.temporary or error.exhausted
    return isinstance(error, TransferError | Unavailable)


def first(origins: Iterable[Origin], work: Callable[[Origin], _T], what: str) -> _T:
    """Give the answer of the first origin that does not raise NotFound. Raises as `ask` does."""
    for origin in origins:
        with suppress(NotFound):
            return origin.ask(work)
    raise NotFound(f"there is no {what}")


MOST = 32 << 20
"""Bytes that are kept. What was made last is kept, however large it is."""


class Recent:
    """The last manifests and configs that were made here to be served. Threads may share it.

    No place has them: where BuildKit wrote a name, or another form is wanted, they are made again.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._size = 0
        self._guard = threading.Lock()
        self._kept: OrderedDict[Digest, bytes] = OrderedDict()

    def keep(self, made: Iterable[bytes]) -> None:
        """Keep these; the least recently used make room."""
        fresh = {Digest.of(raw): raw for raw in made}
        with self._guard:
            for digest, raw in fresh.items():
                self._size += len(raw) - len(self._kept.pop(digest, b""))
                self._kept[digest] = raw
            while self._size > self._most and len(self._kept) > len(fresh):
                self._size -= len(self._kept.popitem(last=False)[1])

    def get(self, digest: Digest) -> bytes | None:
        """Give the bytes of a digest; None when they are not kept."""
        with self._guard:
            if digest in self._kept:
                self._kept.move_to_end(digest)
            return self._kept.get(digest)


@dataclass(frozen=True, slots=True)
class ShelfContent:
    """A Content and RangedProvider: first what was made here, then the origins in order."""

    recent: Recent
    origins: Sequence[Origin]

    def info(self, digest: Digest, /) -> Info:
        """See InfoProvider."""
        made = self.recent.get(digest)
        if made is not None:
            return Info(digest, len(made))
        return first(
            self.origins, lambda origin: origin.place.content.info(digest), f"blob {digest}"
        )

    def open(self, desc: Descriptor, /) -> Reader:
        """See Provider."""
        return self.open_from(desc, 0)

    def open_from(self, desc: Descriptor, start: int, /) -> Reader:
        """See RangedProvider."""
        made = self.recent.get(desc.digest)
        if made is not None:
            return io.BytesIO(made[start:])
        what = f"blob {desc.digest}"
        return first(self.origins, lambda origin: _opened(origin.place.content, desc, start), what)


def _opened(place: Content, desc: Descriptor, start: int) -> Reader:
    if isinstance(place, RangedProvider):
        return place.open_from(desc, start)
    reader = place.open(desc)
    while start and (block := reader.read(min(start, BLOCK))):
        start -= len(block)
    return reader
