"""The two ends of a transfer. A backend makes them of a specification's attributes."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from cachexport.content.protocols import Ingester, Provider
    from cachexport.contract.export import CommonExport
    from cachexport.contract.reading import (
        Current,
    )
    from cachexport.contract.spec import Spec
    from cachexport.model.envelope.cache import Cache, WrappedCache

VIA: ContextVar[str] = ContextVar("VIA", default="")
"""What HTTP requests of this context say in `Via` (RFC 9110, section 7.6.3), if anything.

A gateway sets it, so that gateways which read from each other notice it; a backend sends it.
"""


class Source(Protocol):
    """Something that caches are read from."""

    @property
    def provider(self) -> Provider:
        """Where the blobs of the caches are. Readable until `close`."""

    def load(self) -> tuple[Cache, ...]:
        """Read what is named: one cache, or one for each image with an inline cache.

        Raises NotFound when there is nothing under the name, as before the first build.
        """

    def close(self) -> None:
        """Free what the source holds; twice is fine."""


class Target(Protocol):
    """Something that a cache is written to."""

    @property
    def common(self) -> CommonExport:
        """How the cache is to be written."""

    @property
    def ingester(self) -> Ingester:
        """Where layers, config and manifest go. Usable until `close`."""

    @property
    def parallelism(self) -> int:
        """How many blobs at once are written best."""

    @property
    def import_limit(self) -> int | None:
        """How many bytes of a config or manifest BuildKit imports from there; None for any."""

    def current(self) -> Current:
        """Read what the name stands for, to merge with it."""

    def holds(self, cache: WrappedCache, /) -> bool:
        """Say whether the name stands for this very cache and all of its blobs are there.

        Only where that can be told with less than a look at each blob, else False.
        """

    def publish(self, cache: WrappedCache, /, replacing: Current | None = None) -> WrappedCache:
        """Name the cache, all of which was ingested before. The last step, seen by readers.

        Gives the cache as it was published: where a form is refused that is another one. Raises
        Outdated when the name no longer stands for `replacing`, if that is given, or when blobs
        that were there are there no longer.
        """

    def close(self) -> None:
        """Free what the target holds; twice is fine.

        Called when all targets are written and all sources closed, so that what could be in the
        way of another is done here.
        """


class Backend(Protocol):
    """What an entry point of the group `cachexport.backends` names."""

    def source(self, spec: Spec, /) -> Source:
        """Read the attributes of a `--cache-from`. Raises InvalidAttr. Looks nothing up yet."""

    def target(self, spec: Spec, /) -> Target:
        """Read the attributes of a `--cache-to`. Raises InvalidAttr. Writes nothing yet."""


@runtime_checkable
class Described(Protocol):
    """A Backend that tells its attributes. Without this only its errors do."""

    def attributes(self) -> tuple[type, type]:
        """Give the data classes that a source's and a target's attributes are read into.

        See `cachexport.contract.attributes.attribute`.
        """


@runtime_checkable
class ManyNamed(Protocol):
    """A Backend of which one specification may have several names."""

    def split(self, spec: Spec, /) -> tuple[Spec, ...]:
        """Give a specification for each name that is to be written: there is an answer for each."""


@runtime_checkable
class Prefetching(Protocol):
    """A Target that is far away, and can do something while the sources are read."""

    def begin(self) -> None:
        """Start looking at what is there, in the background. Raises nothing."""
