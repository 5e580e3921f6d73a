"""Writing a cache: all layers, then the config, then the manifest, then the name."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.copy import ingest_bytes, move_blob
from cachexport.content.parallel import DEFAULT_THREADS, map_parallel
from cachexport.content.progress import Event, silent, step
from cachexport.errors import Integrity, NotFound
from cachexport.model.envelope.manifest import Form
from cachexport.oci.compression import Compression
from cachexport.transfer.fit import fit_size
from cachexport.transfer.merge import Merged, merge_into, until_current

if TYPE_CHECKING:
    from collections.abc import Collection

    from cachexport.content.progress import Progress
    from cachexport.contract.backend import Target
    from cachexport.contract.export import CommonExport
    from cachexport.contract.reading import Current
    from cachexport.model.envelope.cache import Wrapped, WrappedCache
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest

MANIFEST_KEY = "cache.manifest"
"""The key of an export's response under which the manifest's descriptor is, as JSON."""

_log = logging.getLogger(__name__)


def write(
    cache: WrappedCache,
    target: Target,
    progress: Progress = silent,
    threads: int | None = None,
    *,
    import_limit: int | None = None,
) -> dict[str, str]:
    """Write a cache and give the response: the manifest's descriptor under `cache.manifest`.

    Nothing names the cache before all of it is there. A cache without layers is not written and
    the response is empty, as in BuildKit. `threads` is how many layers move at once, by default
    as many as suit the target; `import_limit` is how many bytes of a config or manifest those
    import who will read it, where that is less than what the target says. Raises Integrity for a
    blob that the source lacks or that is corrupt there, else TransferError or what the target
    raises.
    """
    if not cache.config.layers:
        _log.warning("failed to match any cache with layers")
        with step(progress, "skipping cache export for empty result"):
            return {}
    cache = _recompressed(cache, target, progress, threads or DEFAULT_THREADS)
    limits = [limit for limit in (target.import_limit, import_limit) if limit is not None]
    limit = min(limits, default=None)
    writing = _Writing(target, progress, threads or target.parallelism, limit)
    published = until_current(lambda: writing.attempt(cache))
    return {MANIFEST_KEY: published.wrapped.descriptor.encode()}


def rewrite(
    cache: WrappedCache, target: Target, replacing: Current, progress: Progress = silent
) -> None:
    """Write a cache in place of what the name stands for now, which is `replacing`.

    Raises Outdated when it stands for something else by then, else what `write` raises.
    """
    _Writing(target, progress, target.parallelism).put(cache, replacing)


def republish(
    cache: WrappedCache, target: Target, replacing: Current, progress: Progress = silent
) -> None:
    """Write a cache whose layers the target has; see `rewrite`."""
    target.publish(_Writing(target, progress, target.parallelism).keep(cache), replacing=replacing)


def _recompressed(
    cache: WrappedCache, target: Target, progress: Progress, threads: int
) -> WrappedCache:
    compression, level = _wanted(target.common)
    if compression is None:
        return cache
    from cachexport.transfer.recompress import recompress

    return recompress(cache, target.ingester, compression, level, progress, threads)


def _wanted(common: CommonExport) -> tuple[Compression | None, int | None]:
    if common.force_compression:
        return common.compression or Compression.GZIP, common.compression_level
    if common.compression is not None or common.compression_level is not None:
        _log.warning("the compression of layers stays as it is without force-compression=true")
    return None, None


@dataclass(frozen=True, slots=True)
class _Writing:
    """One cache on its way to one target."""

    target: Target
    progress: Progress
    threads: int
    import_limit: int | None = None

    def attempt(self, cache: WrappedCache) -> WrappedCache:
        """Write it, merged if the target asks for that. Raises Outdated if a race was lost."""
        current = self._current()
        merged = Merged(cache=cache)
        if current is not None:
            merged = merge_into(current, cache, self.target.ingester, self.target.common)
        cache = fit_size(merged.cache, self.target.common, self.import_limit)
        if not merged.is_news:
            return self.keep(cache)
        if current is None and self._is_there(cache):
            return cache
        return self.put(cache, current, merged.there)

    def keep(self, cache: WrappedCache) -> WrappedCache:
        """Write config and manifest where they are not there; the layers are."""
        wrapped = cache.wrapped
        envelope = (wrapped.config_descriptor, wrapped.descriptor)
        self._write_envelope(cache, self.target.ingester.missing(envelope))
        return cache

    def put(
        self,
        cache: WrappedCache,
        current: Current | None,
        there: frozenset[Digest] = frozenset(),
    ) -> WrappedCache:
        """Write what the target lacks, and publish; `there` is known to be there."""
        missing = self._missing(cache, there)
        self._write_layers(cache, missing)
        self._write_envelope(cache, missing)
        return self.target.publish(cache, replacing=current)

    def _current(self) -> Current | None:
        if not self.target.common.merge:
            return None
        with step(self.progress, "reading the cache to merge with"):
            return self.target.current()

    def _is_there(self, cache: WrappedCache) -> bool:
        if not self.target.holds(cache):
            return False
        with step(self.progress, f"nothing is new in {cache.wrapped.descriptor.digest}"):
            return True

    def _missing(self, cache: WrappedCache, there: frozenset[Digest]) -> set[Digest]:
        wrapped = cache.wrapped
        blobs = (*cache.layers, wrapped.config_descriptor, wrapped.descriptor)
        unknown = {desc.digest: desc for desc in blobs if desc.digest not in there}
        return self.target.ingester.missing(unknown.values())

    def _write_layers(self, cache: WrappedCache, missing: Collection[Digest]) -> None:
        all_layers = {desc.digest: desc for desc in cache.layers}
        layers = [desc for digest, desc in all_layers.items() if digest in missing]
        if there := len(all_layers) - len(layers):
            name = f"skipping {there} of {len(all_layers)} layers, which are there already"
            with step(self.progress, name):
                pass
        for desc in layers:
            self.progress(Event(_writing(desc), "planned", 0, desc.size))

        def write_layer(desc: Descriptor) -> None:
            with step(self.progress, _writing(desc), desc.size) as moved:
                try:
                    move_blob(cache.provider, self.target.ingester, desc, moved)
                except NotFound as error:
                    raise Integrity(f"missing blob {desc.digest}: {error}") from error

        map_parallel(write_layer, layers, self.threads)

    def _write_envelope(self, cache: WrappedCache, missing: Collection[Digest]) -> None:
        wrapped, ingester = cache.wrapped, self.target.ingester
        config, manifest = wrapped.config_descriptor, wrapped.descriptor
        with step(self.progress, f"writing config {config.digest}"):
            if config.digest in missing:
                ingest_bytes(ingester, config, wrapped.config)
        with step(self.progress, _writing_manifest(wrapped)):
            if manifest.digest in missing:
                ingest_bytes(ingester, manifest, wrapped.manifest)


def _writing_manifest(wrapped: Wrapped) -> str:
    kind = "cache image manifest" if wrapped.form is Form.IMAGE_MANIFEST else "cache manifest"
    return f"writing {kind} {wrapped.descriptor.digest}"


def _writing(desc: Descriptor) -> str:
    return f"writing layer {desc.digest}"
