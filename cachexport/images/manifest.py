"""Manifests of images, as BuildKit writes them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cachexport.errors import InvalidInputError
from cachexport.oci import gojson, mediatype
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cachexport.model.envelope.manifest import Manifest

_NOTES = ("buildkit/", "containerd.io/")
"""Prefixes of annotations with which BuildKit notes something on a layer for itself."""


def normalise_layers(
    layers: Iterable[Descriptor], *, oci_mediatypes: bool = True
) -> tuple[Descriptor, ...]:
    """Give layers as the manifest of an image names them.

    All their media types are spelled as OCI does, or all as Docker does; BuildKit's notes, which
    are in the config by then, are left out, and for Docker all annotations.
    """
    spell = mediatype.to_oci if oci_mediatypes else mediatype.to_docker
    return tuple(
        replace(
            layer,
            media_type=spell(layer.media_type),
            annotations={
                key: text
                for key, text in layer.annotations.items()
                if oci_mediatypes and not key.startswith(_NOTES)
            },
        )
        for layer in layers
    )


def encode_image_manifest(
    config: bytes, layers: Iterable[Descriptor], *, oci_mediatypes: bool = True
) -> tuple[Descriptor, bytes]:
    """Give the manifest of an image with this config and these layers, bottom first.

    It comes as its descriptor and its bytes. The layers are normalised.
    """
    named = normalise_layers(layers, oci_mediatypes=oci_mediatypes)
    its_type = mediatype.OCI_MANIFEST if oci_mediatypes else mediatype.DOCKER_MANIFEST
    config_type = mediatype.OCI_CONFIG if oci_mediatypes else mediatype.DOCKER_CONFIG
    members = [
        f'"schemaVersion":2,"mediaType":"{its_type}"',
        f'"config":{Descriptor.of(config, config_type).encode()}',
        f'"layers":[{",".join(layer.encode() for layer in named)}]',
    ]
    raw = _encode(json.loads("{" + ",".join(members) + "}"))
    return Descriptor.of(raw, its_type), raw


def change_manifest(
    manifest: Manifest,
    layers: Sequence[Descriptor],
    *,
    oci_mediatypes: bool | None = None,
    annotations: Mapping[str, str] | None = None,
) -> tuple[Descriptor, bytes]:
    """Give the manifest of the same image with its layers compressed otherwise.

    Its media types are spelled as OCI or Docker does, None as they were, and `annotations` are
    added. All else is kept as it was. It comes as its descriptor and its bytes. Raises
    InvalidInputError for annotations in Docker's spelling, which has none.
    """
    is_oci = manifest.media_type == mediatype.OCI_MANIFEST
    as_oci = is_oci if oci_mediatypes is None else oci_mediatypes
    if annotations and not as_oci:
        raise InvalidInputError("Docker's manifests have no annotations; use oci-mediatypes=true")
    value = json.loads(manifest.raw)
    value["mediaType"] = mediatype.OCI_MANIFEST if as_oci else mediatype.DOCKER_MANIFEST
    if as_oci is not is_oci and manifest.config is not None:
        config_type = mediatype.OCI_CONFIG if as_oci else mediatype.DOCKER_CONFIG
        value["config"] = json.loads(replace(manifest.config, media_type=config_type).encode())
    named = normalise_layers(layers, oci_mediatypes=as_oci)
    value["layers"] = [json.loads(layer.encode()) for layer in named]
    if annotations:
        value["annotations"] = {**(value.get("annotations") or {}), **annotations}
    raw = _encode(value)
    return Descriptor.of(raw, value["mediaType"]), raw


def _encode(value: Any) -> bytes:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return gojson.escape_html(gojson.clean(text)).encode()
