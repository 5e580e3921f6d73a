"""Manifests of images, as BuildKit writes them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from cachexport.oci import gojson, mediatype
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Iterable

_NOTES = ("buildkit/", "containerd.io/")
"""What annotations begin with that are BuildKit's notes on a layer, and nobody else's concern."""


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
    value = json.loads("{" + ",".join(members) + "}")
    raw = gojson.escape_html(json.dumps(value, indent=2, ensure_ascii=False)).encode()
    return Descriptor.of(raw, its_type), raw
