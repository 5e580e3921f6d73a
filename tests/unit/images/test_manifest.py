from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support import caches

from cachexport.content.verify import read_blob
from cachexport.images import encode_image_manifest, normalise_layers, open_docker_archive
from cachexport.images.image import read_image
from cachexport.oci import mediatype
from cachexport.oci.descriptor import CREATED_AT, DESCRIPTION, UNCOMPRESSED, Descriptor

NOTES = {UNCOMPRESSED: "x", CREATED_AT: "y", DESCRIPTION: "z"}
LAYER = replace(
    Descriptor.of(b"layer", mediatype.OCI_LAYER_GZIP),
    annotations={**NOTES, "org.example": "<kept>"},
)


@pytest.mark.parametrize("name", ["docker-archive.tar", "inline-image.tar"])
def test_buildkits_manifests_are_written_again_to_the_byte(name: str) -> None:
    with open_docker_archive(caches.FOLDER / name) as archive:
        image = read_image(archive, archive.images[0].descriptor)
        desc, raw = encode_image_manifest(read_blob(archive, image.config), image.layers)
    assert raw == image.manifest.raw
    assert (desc.digest, desc.media_type) == (image.descriptor.digest, mediatype.OCI_MANIFEST)


def test_layers_in_both_spellings() -> None:
    docker = replace(LAYER, media_type=mediatype.DOCKER_LAYER_GZIP)
    for layers in ([LAYER], [docker]):
        (oci,) = normalise_layers(layers)
        assert (oci.media_type, oci.annotations) == (
            mediatype.OCI_LAYER_GZIP,
            {"org.example": "<kept>"},
        )
        (old,) = normalise_layers(layers, oci_mediatypes=False)
        assert (old.media_type, old.annotations) == (mediatype.DOCKER_LAYER_GZIP, {})


def test_a_manifest_for_docker() -> None:
    desc, raw = encode_image_manifest(b"{}", [LAYER], oci_mediatypes=False)
    manifest = json.loads(raw)
    assert desc.media_type == manifest["mediaType"] == mediatype.DOCKER_MANIFEST
    assert manifest["config"]["mediaType"] == mediatype.DOCKER_CONFIG
    assert manifest["layers"][0]["mediaType"] == mediatype.DOCKER_LAYER_GZIP


def test_annotations_are_escaped_as_go_does() -> None:
    assert rb'"org.example": "\u003ckept\u003e"' in encode_image_manifest(b"{}", [LAYER])[1]
