"""Backends, and the two ends of a transfer that they make from a specification: Source, Target."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from cachexport.content.protocols import Ingester, Provider
    from cachexport.contract.export import CommonExport
    from cachexport.contract.reading import Current
    from cachexport.contract.spec import Spec
    from cachexport.model.envelope.cache import Cache, WrappedCache

VIA: ContextVar[str] = ContextVar("VIA", default="")
"""What HTTP requests of this context say in `Via` (RFC 9110, section 7.6.3), if anything.

A gateway sets it, so that gateways which read from each other notice it; a backend sends it.
"""


class Source(Protocol):
    """Something to read caches from."""

    @property
    def provider(self) -> Provider:
        """The blobs of the caches. Readable until `close`."""

    def load(self) -> tuple[Cache, ...]:
        """Read what the name stands for: one cache, or one for each image with an inline cache.

        Raises NotFound if the name does not exist, as before the first build.
        """

    def close(self) -> None:
        """Release what the source holds. Closing twice is fine."""


class Target(Protocol):
    """Something to write a cache to."""

    @property
    def common(self) -> CommonExport:
        """How the cache is to be written."""

    @property
    def ingester(self) -> Ingester:
        """Where layers, config and manifest go. Usable until `close`."""

    @property
    def parallelism(self) -> int:
        """How many blobs to write at a time."""

    @property
    def import_limit(self) -> int | None:
        """The largest config or manifest, in bytes, that BuildKit imports; None for any."""

    def current(self) -> Current:
        """Read what the name stands for now, to merge with it."""

    def holds(self, cache: WrappedCache, /) -> bool:
        """Say whether the name stands for exactly this cache and all of its blobs exist.

        False if finding out would take a request for each blob.
        """

    def publish(self, cache: WrappedCache, /, replacing: Current | None = None) -> WrappedCache:
        """Give the name to the cache, all of which was ingested before. Readers see it from now on.

        Gives the cache as it was published, which has another form if the first was refused. Raises
        Outdated if the name no longer stands for `replacing`, or if blobs that existed are gone.
        """

    def close(self) -> None:
        """Release what the target holds. Closing twice is fine.

        Called after all targets are written and all sources closed. Work that could disturb them,
        such as deleting blobs, belongs here.
        """


class Backend(Protocol):
    """What an entry point of the group `cachexport.backends` names."""

    def source(self, spec: Spec, /) -> Source:
        """Read the attributes of a `--cache-from`. Sends no request. Raises InvalidAttr."""

    def target(self, spec: Spec, /) -> Target:
        """Read the attributes of a `--cache-to`. Sends no request. Raises InvalidAttr."""


@runtime_checkable
class Described(Protocol):
    """A Backend that lists its attributes for help and completion."""

    def attributes(self) -> tuple[type, type]:
        """Give the data classes that a source's and a target's attributes are read into.

        See `cachexport.contract.attributes.attribute`.
        """


@runtime_checkable
class ManyNamed(Protocol):
    """A Backend whose specification may have several names."""

    def split(self, spec: Spec, /) -> tuple[Spec, ...]:
        """Give a specification for each name to write. Each is answered on its own."""


@runtime_checkable
class Prefetching(Protocol):
    """A Target that can ask for what it will need while the sources are read."""

    def begin(self) -> None:
        """Start asking, in the background. Raises nothing."""
