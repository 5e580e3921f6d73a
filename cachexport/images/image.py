"""Images in a manifest or an index: selecting one, reading it, inspecting it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Self

from cachexport.content.verify import read_blob
from cachexport.contract.reading import METADATA_LIMIT
from cachexport.errors import (
    FailedPrecondition,
    InvalidDigest,
    InvalidInputError,
    NotFound,
    WireFormat,
)
from cachexport.images.config.config import read_diff_ids, read_platform
from cachexport.images.config.history import HistoryEntry, parse_history
from cachexport.model.envelope.manifest import Manifest, decode_manifest
from cachexport.oci import gojson, mediatype
from cachexport.oci.compression import Compression
from cachexport.oci.descriptor import UNCOMPRESSED
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cachexport.content.protocols import Provider
    from cachexport.oci.descriptor import Descriptor, Platform


_READABLE = mediatype.MANIFESTS | mediatype.INDEXES
# To containerd each of these variants is the same as no variant.
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


@dataclass(frozen=True, slots=True)
class OpenedImage:
    """An open image or index of images: readable until `close` or the end of a `with` block."""

    provider: Provider
    descriptor: Descriptor
    """Names the manifest or the index."""
    close: Callable[[], object]
    """May be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def select_image(provider: Provider, root: Descriptor, platform: Platform | None = None) -> Image:
    """Give the image that `root` names or, if `root` is an index, its image for `platform`.

    The image's descriptor has the annotations of `root`. From an index it also has the annotations
    and platform of its entry there. Attestations in an index are skipped. Raises NotFound if no
    image is for the platform, InvalidInputError if `platform` is None and there are several,
    FailedPrecondition if it is not an image, WireFormat, and what `provider` raises.
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
    """List the descriptors of the images in `root`, with the annotations of `root` added.

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

    Raises FailedPrecondition if the media type of the config or of a layer is not one for images.
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
    """Say whether an entry of an index is an attestation for another entry."""
    return desc.platform is not None and desc.platform.os == desc.platform.architecture == _UNKNOWN


def is_for(found: Platform, wanted: Platform) -> bool:
    """Say whether an image for the platform `found` can be used on the platform `wanted`."""
    same = _machine(found) == _machine(wanted)
    return same and wanted.os_version in ("", found.os_version)


def _machine(platform: Platform) -> tuple[str, str, str]:
    plain = _PLAIN_VARIANTS.get(platform.architecture, "")
    return platform.os, platform.architecture, platform.variant or plain


def image_layers(image: Image, config: bytes) -> tuple[Descriptor, ...]:
    """Give an image's layers, bottom first, each annotated with its diff ID from the config.

    Raises WireFormat for a damaged config, or one whose number of diff IDs is not that of layers.
    """
    diff_ids = read_diff_ids(config)
    if len(diff_ids) != len(image.layers):
        raise WireFormat(
            f"the config {image.config.digest} tells of {len(diff_ids)} layers, "
            f"the manifest {image.descriptor.digest} of {len(image.layers)}",
        )
    found = map(_digest, range(len(diff_ids)), diff_ids)
    return tuple(
        dataclasses.replace(layer, annotations={**layer.annotations, UNCOMPRESSED: diff_id})
        for layer, diff_id in zip(image.layers, found, strict=True)
    )


def _digest(number: int, text: str) -> Digest:
    try:
        return Digest.parse(text)
    except InvalidDigest as error:
        raise WireFormat(str(error), f"rootfs.diff_ids[{number}]") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLayer:
    """A layer, and its diff ID from the config."""

    descriptor: Descriptor
    diff_id: str | None
    """None if the config has fewer diff IDs than the image has layers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInspection:
    """What inspecting an image for one platform shows."""

    manifest: Descriptor
    config: Descriptor
    platform: Platform
    created: str | None
    settings: Mapping[str, Any]
    """The `config` object of its config, as it is: `Entrypoint`, `Env` and so on."""
    layers: tuple[ImageLayer, ...]
    history: tuple[HistoryEntry, ...]

    @property
    def size(self) -> int:
        """Bytes of its manifest, config and layers. A blob that occurs twice counts once."""
        blobs = (self.manifest, self.config, *(layer.descriptor for layer in self.layers))
        return sum({desc.digest: desc.size for desc in blobs}.values())


def inspect_images(provider: Provider, root: Descriptor) -> list[ImageInspection]:
    """Describe the image that `root` names or, if `root` is an index, all images in it.

    Raises as `images_of` and `read_image` do, WireFormat for a damaged config, and what `provider`
    raises, such as NotFound if a manifest of the index is not there.
    """
    found = images_of(provider, root)
    return [_inspect(provider, read_image(provider, desc)) for desc in found]


def _inspect(provider: Provider, image: Image) -> ImageInspection:
    raw = read_config(provider, image)
    config = gojson.fields(gojson.loads(raw), frozenset({"created", "config"}), "")
    layers = zip_longest(image.layers, read_diff_ids(raw)[: len(image.layers)])
    return ImageInspection(
        manifest=image.descriptor,
        config=image.config,
        platform=read_platform(raw),
        created=gojson.string(config.get("created"), "created") or None,
        settings=_object(config.get("config")),
        layers=tuple(ImageLayer(descriptor=desc, diff_id=diff_id) for desc, diff_id in layers),
        history=parse_history(raw) or (),
    )


def _object(value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise WireFormat("wants an object, has another value", "config")
    return value or {}
