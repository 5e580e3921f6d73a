"""Finding the one image that is meant among those that a manifest or an index leads to."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.verify import read_blob
from cachexport.contract.reading import METADATA_LIMIT
from cachexport.errors import FailedPrecondition, InvalidInputError, NotFound, WireFormat
from cachexport.images.config.config import read_platform
from cachexport.model.envelope.manifest import Manifest, decode_manifest
from cachexport.oci import mediatype
from cachexport.oci.compression import Compression

if TYPE_CHECKING:
    from cachexport.content.protocols import Provider
    from cachexport.oci.descriptor import Descriptor, Platform
    from cachexport.oci.digest import Digest

_READABLE = mediatype.MANIFESTS | mediatype.INDEXES
# What containerd takes for the same machine as no variant at all.
_PLAIN_VARIANTS = {"amd64": "v1", "arm64": "v8", "arm": "v7"}
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image for one platform; `descriptor` names its manifest."""

    descriptor: Descriptor
    manifest: Manifest
    config: Descriptor

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """The layers, bottom first; the same one may occur twice."""
        return self.manifest.layers


def select_image(provider: Provider, root: Descriptor, platform: Platform | None = None) -> Image:
    """Give the image that `root` names, or of an index the one for `platform`.

    Its descriptor keeps the annotations of `root`, and of an index its own annotations and
    platform. Attestations of an index are no images. Raises NotFound when there is none for the
    platform, InvalidInputError when several could be meant, FailedPrecondition for what is no
    image, WireFormat and what `provider` raises.
    """
    found = images_of(provider, root)
    if platform is None and len(found) == 1:
        return read_image(provider, found[0])
    if not found:
        raise NotFound(f"{root.digest} has no image")
    platforms = [_platform(provider, desc) for desc in found]
    known = ", ".join(map(str, platforms))
    if platform is None:
        raise InvalidInputError(f"{root.digest} has images for {known}; say for which platform")
    for desc, its in zip(found, platforms, strict=True):
        if is_for(its, platform):
            return read_image(provider, desc)
    raise NotFound(f"{root.digest} has no image for {platform}, but for {known}")


def images_of(provider: Provider, root: Descriptor) -> list[Descriptor]:
    """Give the descriptors of the images that `root` leads to, with the annotations of `root`.

    Raises FailedPrecondition when `root` is neither an image nor an index.
    """
    images: dict[Digest, Descriptor] = {}
    seen: set[Digest] = set()
    pending = [root]
    while pending:
        desc = pending.pop()
        if desc.media_type in mediatype.MANIFESTS:
            images.setdefault(desc.digest, desc)
        elif desc.digest not in seen:
            seen.add(desc.digest)
            pending += reversed(_entries(provider, desc))
    return list(images.values())


def _entries(provider: Provider, index: Descriptor) -> list[Descriptor]:
    return [
        dataclasses.replace(desc, annotations={**desc.annotations, **index.annotations})
        for desc in _read_manifest(provider, index).manifests
        if desc.media_type in _READABLE and not _is_about_another(desc)
    ]


def read_image(provider: Provider, desc: Descriptor) -> Image:
    """Read the manifest of an image.

    Raises FailedPrecondition for one that is no image: its config or a layer has another type.
    """
    manifest = _read_manifest(provider, desc)
    config = manifest.config
    if config is None or config.media_type not in mediatype.CONFIGS:
        kind = repr(config.media_type) if config else "none"
        raise FailedPrecondition(f"{desc.digest} is not an image: the type of its config is {kind}")
    for layer in manifest.layers:
        if Compression.of(layer.media_type) is None:
            raise FailedPrecondition(
                f"{desc.digest} is not an image: layer {layer.digest} has the type "
                f"{layer.media_type!r}"
            )
    return Image(descriptor=desc, manifest=manifest, config=config)


def read_config(provider: Provider, image: Image) -> bytes:
    """Give the bytes of an image's config, checked. Raises as `read_blob` does."""
    return read_blob(provider, image.config, limit=METADATA_LIMIT)


def _read_manifest(provider: Provider, desc: Descriptor) -> Manifest:
    if desc.media_type not in _READABLE:
        raise FailedPrecondition(
            f"{desc.digest} is neither an image nor an index of images: its type is "
            f"{desc.media_type!r}"
        )
    raw = read_blob(provider, desc, limit=METADATA_LIMIT)
    try:
        manifest = decode_manifest(raw)
    except WireFormat as error:
        raise WireFormat(f"the manifest {desc.digest}: {error.problem}", error.path) from error
    if manifest.is_index is not (desc.media_type in mediatype.INDEXES):
        raise WireFormat(f"the manifest {desc.digest} is not what its type says, {desc.media_type}")
    return manifest


def _platform(provider: Provider, desc: Descriptor) -> Platform:
    if desc.platform is not None:
        return desc.platform
    return read_platform(read_config(provider, read_image(provider, desc)))


def _is_about_another(desc: Descriptor) -> bool:
    """Whether a manifest in an index is about another one there: an attestation."""
    return desc.platform is not None and desc.platform.os == desc.platform.architecture == _UNKNOWN


def is_for(found: Platform, wanted: Platform) -> bool:
    """Say whether what is for one platform is for another one too."""
    same = _machine(found) == _machine(wanted)
    return same and wanted.os_version in ("", found.os_version)


def _machine(platform: Platform) -> tuple[str, str, str]:
    plain = _PLAIN_VARIANTS.get(platform.architecture, "")
    return platform.os, platform.architecture, platform.variant or plain
