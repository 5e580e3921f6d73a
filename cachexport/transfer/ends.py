"""The two ends of a transfer. A backend makes them of a specification's attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cachexport.content.protocols import Ingester, Provider
    from cachexport.envelope.cache import Cache, WrappedCache
    from cachexport.spec import CommonExport, Spec


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

    def publish(self, cache: WrappedCache, /) -> WrappedCache:
        """Name the cache, all of which was ingested before. The last step, seen by readers.

        Gives the cache as it was published: where a form is refused that is another one.
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
