"""Writing a cache: all layers, then the config, then the manifest, then the name."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from cachexport.content.copy import copy_blob, ingest_bytes
from cachexport.content.retry import persistently
from cachexport.envelope.form import Form
from cachexport.errors import Integrity, NotFound
from cachexport.oci.compression import Compression
from cachexport.transfer.parallel import map_parallel
from cachexport.transfer.progress import Event, silent, step
from cachexport.transfer.recompress import recompress

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachexport.content.protocols import Ingester
    from cachexport.envelope.cache import WrappedCache
    from cachexport.oci.descriptor import Descriptor
    from cachexport.spec import CommonExport
    from cachexport.transfer.ends import Target
    from cachexport.transfer.progress import Progress

MANIFEST_KEY = "cache.manifest"
"""The key of an export's response under which the manifest's descriptor is, as JSON."""

_log = logging.getLogger(__name__)


def write(
    cache: WrappedCache, target: Target, progress: Progress = silent, threads: int = 4
) -> dict[str, str]:
    """Write a cache and give the response: the manifest's descriptor under `cache.manifest`.

    Nothing names the cache before all of it is there. A cache without layers is not written and
    the response is empty, as in BuildKit. Raises Integrity for a blob that the source lacks or
    that is corrupt there, else TransferError or what the target raises.
    """
    if not cache.config.layers:
        _log.warning("failed to match any cache with layers")
        with step(progress, "skipping cache export for empty result"):
            return {}
    cache = _recompressed(cache, target, progress, threads)
    _write_layers(cache, target.ingester, progress, threads)
    published = _publish(cache, target, progress)
    return {MANIFEST_KEY: published.wrapped.descriptor.encode()}


def _recompressed(
    cache: WrappedCache, target: Target, progress: Progress, threads: int
) -> WrappedCache:
    compression, level = _wanted(target.common)
    if compression is None:
        return cache
    return recompress(cache, target.ingester, compression, level, progress, threads)


def _wanted(common: CommonExport) -> tuple[Compression | None, int | None]:
    if common.force_compression:
        return common.compression or Compression.GZIP, common.compression_level
    if common.compression is not None or common.compression_level is not None:
        _log.warning("the compression of layers stays as it is without force-compression=true")
    return None, None


def _write_layers(
    cache: WrappedCache, ingester: Ingester, progress: Progress, threads: int
) -> None:
    distinct = list({desc.digest: desc for desc in cache.layers}.values())
    missing = ingester.missing(distinct)

    for desc in distinct:
        progress(Event(_writing(desc), "planned", 0, desc.size))

    def write_layer(desc: Descriptor) -> None:
        with step(progress, _writing(desc), desc.size) as moved:
            if desc.digest in missing:
                _copy(cache, ingester, desc, moved)

    map_parallel(write_layer, distinct, threads)


def _writing(desc: Descriptor) -> str:
    return f"writing layer {desc.digest}"


def _copy(
    cache: WrappedCache, ingester: Ingester, desc: Descriptor, moved: Callable[[int], None]
) -> None:
    try:
        persistently(lambda: copy_blob(cache.provider, ingester, desc, moved))
    except NotFound as error:
        raise Integrity(f"missing blob {desc.digest}: {error}") from error


def _publish(cache: WrappedCache, target: Target, progress: Progress) -> WrappedCache:
    wrapped, ingester = cache.wrapped, target.ingester
    config, manifest = wrapped.config_descriptor, wrapped.descriptor
    with step(progress, f"writing config {config.digest}"):
        ingest_bytes(ingester, config, wrapped.config)
    kind = "cache image manifest" if wrapped.form is Form.IMAGE_MANIFEST else "cache manifest"
    with step(progress, f"writing {kind} {manifest.digest}"):
        ingest_bytes(ingester, manifest, wrapped.manifest)
        return target.publish(cache)
