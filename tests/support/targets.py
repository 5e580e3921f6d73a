"""A target in memory that remembers the order of what happened to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cachexport import MemoryContent
from cachexport.contract.export import CommonExport
from cachexport.contract.reading import (
    Current,
    read_current,
)
from cachexport.errors import Outdated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cachexport import Descriptor, Digest
    from cachexport.content.protocols import Ingester, Reader
    from cachexport.model.envelope.cache import WrappedCache


@dataclass
class Recorder:
    """Refuses to publish what is not there whole, as every target should.

    `fail_on` is a media type that cannot be ingested, `before_publish` is what somebody else does
    just then.
    """

    common: CommonExport = field(default_factory=CommonExport)
    content: MemoryContent = field(default_factory=MemoryContent)
    order: list[str] = field(default_factory=list)
    fail_on: str = ""
    published: WrappedCache | None = None
    import_limit: int | None = 1 << 20
    parallelism: int = 4
    is_known: bool = False
    before_publish: Callable[[], None] = lambda: None

    @property
    def ingester(self) -> Ingester:
        return self

    def missing(self, descs: Iterable[Descriptor], /) -> set[Digest]:
        return self.content.missing(descs)

    def ingest(self, desc: Descriptor, reader: Reader, /) -> None:
        if desc.media_type == self.fail_on:
            raise OSError("disk full")
        self.content.ingest(desc, reader)
        self.order.append(desc.media_type)

    def current(self) -> Current:
        if self.published is None:
            return Current()
        return read_current(self.content, self.published.wrapped.descriptor)

    def holds(self, cache: WrappedCache, /) -> bool:
        return self.is_known

    def publish(self, cache: WrappedCache, /, replacing: Current | None = None) -> WrappedCache:
        self.before_publish()
        version = "" if self.published is None else self.published.wrapped.descriptor.digest
        if replacing is not None and replacing.version != version:
            raise Outdated("somebody else was faster")
        wrapped = cache.wrapped
        all_of_it = (*cache.layers, wrapped.config_descriptor, wrapped.descriptor)
        assert not self.content.missing(all_of_it)
        self.order.append("name")
        self.published = cache
        return cache

    def close(self) -> None:
        pass
