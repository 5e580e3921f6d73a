"""Everything that a manifest leads to, so that it is known what must not be deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.content.verify import read_blob
from cachexport.contract.reading import METADATA_LIMIT
from cachexport.errors import FailedPrecondition
from cachexport.model.envelope.manifest import decode_manifest
from cachexport.oci import mediatype
from cachexport.oci.compression import Compression

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cachexport.content.protocols import Provider
    from cachexport.model.envelope.manifest import Manifest
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest

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
