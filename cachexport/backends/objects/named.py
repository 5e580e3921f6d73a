"""The object that a name is: a cache config that describes its layers itself, by annotations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cachexport.errors import InvalidDigest, InvalidInputError, WireFormat
from cachexport.model import config as cacheconfig
from cachexport.model.config.model import LayerAnnotations
from cachexport.oci import mediatype
from cachexport.oci.descriptor import CREATED_AT, UNCOMPRESSED, Descriptor
from cachexport.oci.digest import Digest
from cachexport.oci.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable

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
