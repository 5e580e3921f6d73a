"""Reading what a manifest names: a cache, or images with inline caches."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cachexport.content.verify import read_blob
from cachexport.errors import Integrity, NotFound, WireFormat
from cachexport.model import config as cacheconfig
from cachexport.model.envelope.cache import Cache, Wrapped, WrappedCache
from cachexport.model.envelope.manifest import Manifest, decode_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cachexport.content.protocols import Provider
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest

_log = logging.getLogger(__name__)

METADATA_LIMIT = 256 << 20
"""Bytes of a config or a manifest that are read. BuildKit reads 1 MiB; nothing needs this much."""


def read_caches(provider: Provider, desc: Descriptor) -> tuple[Cache, ...]:
    """Read the cache, or the inline caches of the images, that `desc` names.

    Gives nothing for images without an inline cache. Raises NotFound when `desc` itself is not
    there, Integrity when a config is not there or a blob is not what it should be, WireFormat
    for what is no manifest or no config.
    """
    manifest = _read_manifest(provider, desc)
    config = manifest.cache_config
    if config is None:
        return tuple(_inline_caches(provider, manifest))
    raw_config = _read_config(provider, config)
    with _reading("config", config):
        decoded = cacheconfig.decode(raw_config)
    cache = WrappedCache(
        config=decoded,
        layers=manifest.cache_layers,
        provider=provider,
        wrapped=Wrapped(form=manifest.form, config=raw_config, manifest=manifest.raw),
        as_read=True,
    )
    return (cache,)


def _read_manifest(provider: Provider, desc: Descriptor) -> Manifest:
    raw = read_blob(provider, desc, limit=METADATA_LIMIT)
    with _reading("manifest", desc):
        return decode_manifest(raw)


@contextmanager
def _reading(kind: str, desc: Descriptor) -> Iterator[None]:
    """Say of a WireFormat in the block which blob is meant."""
    try:
        yield
    except WireFormat as error:
        raise WireFormat(f"the {kind} {desc.digest}: {error.problem}", error.path) from error


def _read_config(provider: Provider, config: Descriptor) -> bytes:
    try:
        return read_blob(provider, config, limit=METADATA_LIMIT)
    except NotFound as error:
        raise Integrity(f"the manifest names a config that is not there: {error}") from error


def _inline_caches(provider: Provider, manifest: Manifest) -> Iterator[Cache]:
    from cachexport.model.envelope.inline import decode_inline

    for image in _images(provider, manifest):
        if image.config is None or not image.layers:
            continue
        image_config = _read_config(provider, image.config)
        with _reading("config", image.config):
            cache = decode_inline(image_config, image.layers, provider)
        if cache is not None:
            yield cache


def _images(provider: Provider, manifest: Manifest) -> Iterator[Manifest]:
    seen: set[Digest] = set()
    pending = [manifest]
    while pending:
        current = pending.pop()
        if not current.is_index:
            yield current
        fresh = {d.digest: d for d in current.manifests if d.digest not in seen}
        seen.update(fresh)
        pending += [_read_manifest(provider, desc) for desc in reversed(fresh.values())]
