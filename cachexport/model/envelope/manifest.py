"""Manifests of caches and images: the forms that wrap a cache config, their bytes, their limits."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from cachexport.errors import WireFormat
from cachexport.oci import gojson, mediatype
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Sequence


class Form(StrEnum):
    """A form of manifest that BuildKit wraps a cache config in."""

    IMAGE_MANIFEST = "image-manifest"
    OCI_INDEX = "oci-index"
    DOCKER_LIST = "docker-list"

    @property
    def media_type(self) -> str:
        """The media type of a manifest of this form."""
        return _MEDIA_TYPES[self]

    def layer_type(self, media_type: str) -> str:
        """Spell a layer's media type as this form wants it."""
        if self is Form.DOCKER_LIST:
            return mediatype.to_docker(media_type)
        return mediatype.to_oci(media_type)


_MEDIA_TYPES = {
    Form.IMAGE_MANIFEST: mediatype.OCI_MANIFEST,
    Form.OCI_INDEX: mediatype.OCI_INDEX,
    Form.DOCKER_LIST: mediatype.DOCKER_MANIFEST_LIST,
}


def requested_form(
    image_manifest: bool | None, oci_mediatypes: bool | None, source: Form | None = None
) -> Form:
    """Give the form that these attributes ask for; absent ones mean as the source has it.

    Without a source it is BuildKit's default, the image manifest; `oci_mediatypes=False` alone
    implies `image_manifest=False`, as in BuildKit.
    """
    if oci_mediatypes is False:
        return Form.DOCKER_LIST
    if image_manifest is not None:
        docker = source is Form.DOCKER_LIST and oci_mediatypes is None and not image_manifest
        index = Form.DOCKER_LIST if docker else Form.OCI_INDEX
        return Form.IMAGE_MANIFEST if image_manifest else index
    if oci_mediatypes and source is Form.DOCKER_LIST:
        return Form.OCI_INDEX
    return source or Form.IMAGE_MANIFEST


IMPORT_LIMIT = 1 << 20
"""The largest config or manifest, in bytes, that BuildKit imports."""
NEARLY_FULL = 768 << 10
"""From this size on, in bytes, there is a note: the cache will soon be too large."""


def size_note(kind: str, size: int, limit: int = IMPORT_LIMIT) -> str | None:
    """Say what to know about the bytes of a `kind`; None when they are few enough not to care.

    `limit` is how many somebody wants at most, where that is less than BuildKit imports.
    """
    if limit < size <= IMPORT_LIMIT:
        return f"the {kind} has {size:,} bytes, and shall have {limit:,} at most"
    if size > IMPORT_LIMIT:
        return (
            f"the {kind} has {size:,} bytes: BuildKit refuses to import one over "
            f"{IMPORT_LIMIT:,} bytes and builds as if there were no cache"
        )
    if size >= NEARLY_FULL:
        share = size / IMPORT_LIMIT
        return (
            f"the {kind} has {share:.0%} of the {IMPORT_LIMIT:,} bytes that "
            "BuildKit imports at most"
        )
    return None


_FIELDS = frozenset({"mediaType", "config", "layers", "manifests", "subject"})
_READABLE = mediatype.MANIFESTS | mediatype.INDEXES
_FORMS = {form.media_type: form for form in Form}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest as read. An index has `manifests`, an image manifest `config` and `layers`."""

    raw: bytes
    media_type: str
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    """What it is about, such as the image that it signs."""

    @property
    def is_index(self) -> bool:
        """Whether it names manifests (or, as a cache, layers and a config) of equal rank."""
        return self.media_type in mediatype.INDEXES

    @property
    def form(self) -> Form:
        """The form of this manifest. Docker's image manifest counts as OCI's."""
        return _FORMS.get(self.media_type, Form.IMAGE_MANIFEST)

    @property
    def cache_config(self) -> Descriptor | None:
        """The descriptor of the cache config, if this is a cache. The last of several counts."""
        candidates = self.manifests if self.is_index else (self.config,)
        found = [desc for desc in candidates if desc and _is_cache_config(desc)]
        return found[-1] if found else None

    @property
    def is_image(self) -> bool:
        """Whether this is an image, or an index of manifests; what these are is not looked at."""
        if self.is_index:
            named = {desc.media_type for desc in self.manifests}
            return self.cache_config is None and not named.isdisjoint(_READABLE)
        return self.config is not None and self.config.media_type in mediatype.CONFIGS

    @property
    def cache_layers(self) -> tuple[Descriptor, ...]:
        """The layers of the cache that this is, in the order written."""
        if not self.is_index:
            return self.layers
        return tuple(desc for desc in self.manifests if not _is_cache_config(desc))


def encode_manifest(form: Form, layers: Sequence[Descriptor], config: Descriptor) -> bytes:
    """Give the bytes of a cache's manifest; layers in the order of the config's layers."""
    spelled = [
        dataclasses.replace(desc, media_type=form.layer_type(desc.media_type)) for desc in layers
    ]
    head = f'{{"schemaVersion":2,"mediaType":"{form.media_type}"'
    if form is Form.IMAGE_MANIFEST:
        return f'{head},"config":{config.encode()},"layers":{_array(spelled)}}}'.encode()
    return f'{head},"manifests":{_array([*spelled, config])}}}'.encode()


def decode_manifest(raw: bytes) -> Manifest:
    """Read a manifest of any kind, telling the kind as BuildKit does. Raises WireFormat."""
    found = gojson.fields(gojson.loads(raw), _FIELDS, "")
    return Manifest(
        raw=raw,
        media_type=_detect(found),
        config=_optional(found, "config"),
        layers=tuple(gojson.each(found.get("layers"), "layers", Descriptor.decode)),
        manifests=tuple(gojson.each(found.get("manifests"), "manifests", Descriptor.decode)),
        subject=_optional(found, "subject"),
    )


def _detect(found: dict[str, Any]) -> str:
    is_image = "config" in found or "layers" in found
    if is_image and "manifests" in found:
        raise WireFormat("a manifest has either config and layers or manifests, this has both")
    kinds = mediatype.MANIFESTS if is_image else mediatype.INDEXES
    stated = gojson.string(found.get("mediaType"), "mediaType")
    if stated in mediatype.MANIFESTS | mediatype.INDEXES:
        if stated not in kinds:
            raise WireFormat(f"does not match the contents: {stated}", "mediaType")
        return stated
    return mediatype.DOCKER_MANIFEST if is_image else mediatype.DOCKER_MANIFEST_LIST


def _optional(found: dict[str, Any], name: str) -> Descriptor | None:
    try:
        return None if found.get(name) is None else Descriptor.decode(found[name])
    except WireFormat as error:
        raise error.under(name) from None


def _is_cache_config(desc: Descriptor) -> bool:
    return desc.media_type == mediatype.CACHE_CONFIG_V0


def _array(descs: Sequence[Descriptor]) -> str:
    return f"[{','.join(desc.encode() for desc in descs)}]"
