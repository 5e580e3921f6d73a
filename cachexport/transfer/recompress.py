"""Writing every layer of a cache in one compression."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cachexport.content.layers.convert import convert_layer
from cachexport.content.parallel import map_parallel
from cachexport.content.progress import Event, step
from cachexport.model.chains import BlobSource, CacheChains
from cachexport.oci.compression import Compression
from cachexport.transfer.prepare import marshalled

if TYPE_CHECKING:
    from cachexport.content.progress import Progress
    from cachexport.content.protocols import Ingester
    from cachexport.model.envelope.cache import WrappedCache
    from cachexport.oci.descriptor import Descriptor


def recompress(
    cache: WrappedCache,
    target: Ingester,
    compression: Compression,
    level: int | None,
    progress: Progress,
    threads: int,
) -> WrappedCache:
    """Put all layers into `target`, compressed like this, and give the cache of the new blobs.

    A cache whose layers are all compressed like this stays as it is, to the byte.
    """
    if all(Compression.of(desc.media_type) is compression for desc in cache.layers):
        return cache

    def converting(desc: Descriptor) -> str:
        return f"converting layer {desc.digest} to {compression}"

    def convert(desc: Descriptor) -> Descriptor:
        with step(progress, converting(desc), desc.size) as moved:
            return convert_layer(cache.provider, desc, target, compression, level, moved)

    old = list({desc.digest: desc for desc in cache.layers}.values())
    for desc in old:
        progress(Event(converting(desc), "planned"))
    new = map_parallel(convert, old, threads)
    return _with_blobs(cache, {str(a.digest): b for a, b in zip(old, new, strict=True)})


def _with_blobs(cache: WrappedCache, blobs: dict[str, Descriptor]) -> WrappedCache:
    layers = tuple(
        replace(layer, blob=str(blobs[layer.blob].digest)) if layer.blob in blobs else layer
        for layer in cache.config.layers
    )
    sources = {desc.digest: BlobSource(desc, None) for desc in blobs.values()}
    chains = CacheChains.parse(replace(cache.config, layers=layers), sources)
    return marshalled(chains, cache.wrapped.form)
