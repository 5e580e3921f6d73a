"""Exporting what a program records itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.parallel import DEFAULT_THREADS
from cachexport.content.progress import silent
from cachexport.contract.export import CommonExport
from cachexport.contract.reading import Current
from cachexport.model.chains import CacheChains
from cachexport.model.envelope.manifest import IMPORT_LIMIT
from cachexport.transfer.prepare import prepare_chains
from cachexport.transfer.write import write

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cachexport.content.progress import Progress
    from cachexport.content.protocols import Ingester
    from cachexport.model.chains import CacheLink, CacheRecord, CacheResult
    from cachexport.model.envelope.cache import WrappedCache


class Exporter:
    """Takes records and, at the end, writes them as one cache into an ingester.

    The cache has no name then: the response's descriptor is how to find it.
    """

    def __init__(
        self,
        ingester: Ingester,
        *,
        common: CommonExport | None = None,
        progress: Progress = silent,
        threads: int | None = None,
    ) -> None:
        self.chains = CacheChains()
        self._target = _Unnamed(ingester, common or CommonExport())
        self._progress = progress
        self._threads = threads

    def add(
        self,
        digest: str,
        deps: Sequence[Sequence[CacheLink]] = (),
        results: Iterable[CacheResult] = (),
    ) -> CacheRecord | None:
        """Record something; see `CacheChains.add`."""
        return self.chains.add(digest, deps, results)

    def finalize(self) -> dict[str, str]:
        """Write layers, config and manifest, and give the response; see `write`."""
        cache = prepare_chains(self.chains, self._target.common)
        return write(cache, self._target, self._progress, self._threads)


@dataclass(frozen=True, slots=True)
class _Unnamed:
    """A target for blobs alone."""

    ingester: Ingester
    common: CommonExport

    @property
    def parallelism(self) -> int:
        """Write as many blobs at once as BuildKit."""
        return DEFAULT_THREADS

    @property
    def import_limit(self) -> int | None:
        """Expect that BuildKit will read it, wherever that is."""
        return IMPORT_LIMIT

    def current(self) -> Current:
        """Know of nothing that has the name already."""
        return Current()

    def holds(self, cache: WrappedCache, /) -> bool:
        """Know of nothing that is there."""
        return False

    def publish(self, cache: WrappedCache, /, replacing: Current | None = None) -> WrappedCache:
        """Give no name."""
        return cache

    def close(self) -> None:
        """Hold nothing."""
