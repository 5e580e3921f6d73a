"""Reading manifests through a provider: their caches, and all that they need."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.verify import read_blob
from cachexport.errors import FailedPrecondition, Integrity, NotFound, WireFormat
from cachexport.model import config as cacheconfig
from cachexport.model.envelope.cache import Cache, Wrapped, WrappedCache
from cachexport.model.envelope.manifest import Manifest, decode_manifest
from cachexport.oci import mediatype
from cachexport.oci.compression import Compression

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    """Add to a WireFormat of the block which blob it is about."""
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


_READABLE = mediatype.MANIFESTS | mediatype.INDEXES


def reached_sizes(provider: Provider, roots: Iterable[Descriptor]) -> dict[Digest, int]:
    """Give every blob that the roots lead to, themselves included, with its bytes.

    Raises what makes that uncertain: NotFound or Integrity for a manifest that is not there or
    not what it should be, WireFormat for one that cannot be read, FailedPrecondition for one of
    an unknown kind, which may lead on.
    """
    pending = [_known(root) for root in roots]
    reached: dict[Digest, int] = {}
    followed: set[Digest] = set()
    while pending:
        desc = pending.pop()
        if desc.digest not in followed and desc.media_type in _READABLE:
            followed.add(desc.digest)
            pending += _children(provider, desc)
        reached[desc.digest] = desc.size
    return reached


def is_cache_manifest(provider: Provider, desc: Descriptor) -> bool:
    """Say whether a descriptor names the manifest of a cache. Raises as `reached_sizes` does."""
    manifest = _manifest(provider, desc)
    return manifest is not None and manifest.cache_config is not None


def is_image_manifest(provider: Provider, desc: Descriptor) -> bool:
    """Say whether a descriptor names an image or an index of some. Raises as `reached_sizes`."""
    manifest = _manifest(provider, desc)
    return manifest is not None and manifest.is_image


def _manifest(provider: Provider, desc: Descriptor) -> Manifest | None:
    if desc.media_type not in _READABLE:
        return None
    return decode_manifest(read_blob(provider, desc, limit=METADATA_LIMIT))


def _known(desc: Descriptor) -> Descriptor:
    """Give a descriptor of which we know whether it leads on; raises for any other."""
    is_cache = desc.media_type == mediatype.CACHE_CONFIG_V0 or Compression.of(desc.media_type)
    if desc.media_type not in _READABLE and not is_cache:
        raise FailedPrecondition(f"{desc.digest} has an unknown type, {desc.media_type!r}")
    return desc


def _children(provider: Provider, desc: Descriptor) -> list[Descriptor]:
    manifest = decode_manifest(read_blob(provider, desc, limit=METADATA_LIMIT))
    single = [child for child in (manifest.config, manifest.subject) if child is not None]
    return [*single, *manifest.layers, *map(_known, manifest.manifests)]


@dataclass(frozen=True, slots=True)
class Current:
    """What a name stands for at the moment of reading."""

    caches: tuple[Cache, ...] = ()
    version: str = ""
    """Identifies the content; it changes whenever that does. Empty if the name does not exist."""


def read_current(provider: Provider, desc: Descriptor) -> Current:
    """Read the caches of the manifest that a name stands for; its digest is the version.

    A name whose manifest is gone is as good as nothing. Raises Integrity or WireFormat for one
    that is damaged: it may hold what only a person can save.
    """
    from cachexport.contract.reading import read_caches

    try:
        return Current(read_caches(provider, desc), desc.digest)
    except NotFound as error:
        _log.warning("replacing a name that leads nowhere: %s", error)
        return Current(version=desc.digest)
    except (Integrity, WireFormat) as error:
        error.add_note("nothing can be merged into that; without merge=true it is replaced")
        raise
