"""The object that a name is: a cache config that describes its layers itself, by annotations."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from cachexport.content.verify import read_blob
from cachexport.contract.place import Needs
from cachexport.contract.reading import METADATA_LIMIT
from cachexport.errors import (
    Auth,
    ContentError,
    InvalidDigest,
    InvalidInputError,
    NotFound,
    WireFormat,
)
from cachexport.model import config as cacheconfig
from cachexport.model.config.model import LayerAnnotations
from cachexport.model.envelope.cache import Wrapped, WrappedCache
from cachexport.model.envelope.manifest import Form, Manifest, decode_manifest, encode_manifest
from cachexport.oci import mediatype
from cachexport.oci.descriptor import CREATED_AT, UNCOMPRESSED, Descriptor
from cachexport.oci.digest import Digest
from cachexport.oci.mediatype import CACHE_CONFIG_V0
from cachexport.oci.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cachexport.backends.objects.client import Stored
    from cachexport.backends.objects.layout import Blobs
    from cachexport.model.config import CacheConfig, CacheLayer


def encode_named(config: CacheConfig, layers: Iterable[Descriptor]) -> bytes:
    """Give the bytes of a name's object: the config, annotated by its layers' descriptors.

    Each of them tells its diff ID. Instants are written in UTC, as BuildKit does.
    """
    described = {str(desc.digest): _annotations(desc) for desc in layers}
    annotated = [replace(layer, annotations=described.get(layer.blob)) for layer in config.layers]
    return replace(config, layers=tuple(annotated)).encode()


def decode_named(
    raw: bytes, *, salvage: bool = False
) -> tuple[CacheConfig, tuple[Descriptor, ...]]:
    """Read a name's object: the config without annotations, and a descriptor for each layer.

    Raises WireFormat for what is no cache config, and for a layer that is not described; with
    `salvage` such a layer just has no descriptor.
    """
    config = cacheconfig.decode(raw)
    if not config.layers and not config.records and raw.strip() != b"{}":
        raise WireFormat("neither layers nor records: this is no cache config")
    found = [_describe(layer, number, salvage) for number, layer in enumerate(config.layers)]
    layers = tuple(desc for desc in found if desc is not None)
    plain = [replace(layer, annotations=None) for layer in config.layers]
    return replace(config, layers=tuple(plain)), layers


def _annotations(desc: Descriptor) -> LayerAnnotations:
    created_at = desc.annotations.get(CREATED_AT)
    return LayerAnnotations(
        media_type=mediatype.to_oci(desc.media_type),
        diff_id=desc.annotations[UNCOMPRESSED],
        size=desc.size,
        created_at=_in_utc(created_at) if created_at else Timestamp.ZERO,
    )


def _in_utc(text: str) -> Timestamp:
    try:
        return replace(Timestamp.parse(text), offset=0)
    except InvalidInputError as error:
        raise WireFormat(str(error), f"annotations[{CREATED_AT!r}]") from error


def _describe(layer: CacheLayer, number: int, salvage: bool) -> Descriptor | None:
    try:
        return _descriptor(layer, f"layers[{number}]")
    except WireFormat:
        if salvage:
            return None
        raise


def _descriptor(layer: CacheLayer, path: str) -> Descriptor:
    found = layer.annotations
    if found is None:
        raise WireFormat("a layer without annotations", path)
    if found.size < 0:
        raise WireFormat(f"negative size: {found.size}", path)
    try:
        digest, diff_id = Digest.parse(layer.blob), Digest.parse(found.diff_id)
    except InvalidDigest as error:
        raise WireFormat(str(error), path) from error
    annotations = {UNCOMPRESSED: str(diff_id)}
    if found.created_at != Timestamp.ZERO:
        annotations[CREATED_AT] = str(found.created_at)
    return Descriptor(
        media_type=found.media_type, digest=digest, size=found.size, annotations=annotations
    )


MANIFEST_METADATA = "cachexport-manifest"
"""The metadata of a name's object that has the digest of its manifest, which is a blob."""

_log = logging.getLogger(__name__)


def load_named(blobs: Blobs, key: str, *, salvage: bool = False) -> tuple[WrappedCache, Stored]:
    """Read the cache in the object under `key`, with the object's description.

    Its manifest and config are the blobs that the object points at, if they are there and agree
    with it. BuildKit writes none: then both are made of the object, as an image manifest.
    Raises NotFound when there is no object, WireFormat when it is no cache. With `salvage` a layer
    may lack its description.
    """
    raw, stored = blobs.client.load(key)
    config, layers = _decoded(blobs, key, raw, salvage=salvage)
    wrapped, layers = _stored_envelope(blobs, stored, config) or _made_envelope(config, layers)
    cache = WrappedCache(
        config=config, layers=layers, provider=blobs, wrapped=wrapped, as_read=True, named=raw
    )
    return cache, stored


def load_needs(blobs: Blobs, key: str) -> Needs:
    """Give every blob that the name under `key` needs: layers, config and manifest.

    The manifest that it points at counts even where it cannot be read. So do the config and the
    manifest that would be made of the object itself. Raises as `load_named` does.
    """
    raw, stored = blobs.client.load(key)
    config, layers = _decoded(blobs, key, raw)
    wrapped, _ = _made_envelope(config, layers)
    described = [*layers, wrapped.config_descriptor, wrapped.descriptor]
    pointer = _pointer(stored)
    if pointer is not None:
        described += _pointed_at(blobs, pointer)
    sizes = {desc.digest: desc.size for desc in described}
    return Needs(is_cache=bool(config.records), sizes=sizes)


def _pointed_at(blobs: Blobs, pointer: Digest) -> list[Descriptor]:
    """Describe a manifest and its config, as far as they are there."""
    try:
        raw, _ = blobs.client.load(blobs.keys.blob(pointer))
        config = decode_manifest(raw).cache_config if Digest.of(raw) == pointer else None
    except (NotFound, WireFormat):
        return [Descriptor(digest=pointer, size=0)]
    return [Descriptor(digest=pointer, size=len(raw)), *([config] if config else [])]


def _decoded(
    blobs: Blobs, key: str, raw: bytes, *, salvage: bool = False
) -> tuple[CacheConfig, tuple[Descriptor, ...]]:
    try:
        return decode_named(raw, salvage=salvage)
    except WireFormat as error:
        problem = f"{blobs.client.place}/{key}: {error.problem}"
        raise WireFormat(problem, error.path) from error


def _pointer(stored: Stored) -> Digest | None:
    try:
        return Digest.parse(stored.metadata.get(MANIFEST_METADATA, ""))
    except InvalidDigest:
        return None


def _stored_envelope(
    blobs: Blobs, stored: Stored, config: CacheConfig
) -> tuple[Wrapped, tuple[Descriptor, ...]] | None:
    """Read the manifest that the object points at; None where it is missing or of another cache."""
    pointer = _pointer(stored)
    if pointer is None:
        return None
    try:
        manifest = _manifest(blobs, pointer)
        desc = manifest.cache_config
        raw = read_blob(blobs, desc, limit=METADATA_LIMIT) if desc else b""
        if desc is None or cacheconfig.decode(raw) != config:
            raise WireFormat("it is of another cache")
        described = {str(layer.digest) for layer in manifest.cache_layers}
        if not all(layer.blob in described for layer in config.layers):
            raise WireFormat("it does not describe all layers")
    except (Auth, ContentError, WireFormat) as error:
        # Expiry may have taken it; the object itself says all that is needed.
        _log.info("%s: passing over manifest %s: %s", stored.key, pointer, error)
        return None
    return Wrapped(form=manifest.form, config=raw, manifest=manifest.raw), manifest.cache_layers


def _manifest(blobs: Blobs, digest: Digest) -> Manifest:
    desc = Descriptor(digest=digest, size=blobs.info(digest).size)
    return decode_manifest(read_blob(blobs, desc, limit=METADATA_LIMIT))


def _made_envelope(
    config: CacheConfig, layers: tuple[Descriptor, ...]
) -> tuple[Wrapped, tuple[Descriptor, ...]]:
    raw = config.encode()
    form = Form.IMAGE_MANIFEST
    manifest = encode_manifest(form, layers, Descriptor.of(raw, CACHE_CONFIG_V0))
    return Wrapped(form=form, config=raw, manifest=manifest), layers
