from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from support.images import make_image, make_index, tar_layer
from unit.images.packing import members

from cachexport.content.memory import MemoryContent
from cachexport.errors import (
    FailedPrecondition,
    InvalidInputError,
    NotFound,
    WireFormat,
)
from cachexport.images import write_docker_archive
from cachexport.model.envelope.manifest import (
    Form,
    encode_manifest,
)
from cachexport.oci import mediatype
from cachexport.oci.descriptor import Descriptor, Platform

AMD64 = Platform(architecture="amd64", os="linux")
ARM64 = Platform(architecture="arm64", os="linux", variant="v8")


# An index is narrowed to one platform.


@pytest.fixture
def index() -> tuple[Descriptor, MemoryContent]:
    attestation = replace(
        Descriptor.of(b"gone", mediatype.OCI_MANIFEST),
        platform=Platform(architecture="unknown", os="unknown"),
    )
    other = Descriptor.of(b"chart", "application/vnd.example")
    images = [
        make_image(tar_layer({"a": b"%d" % n}), platform=p) for n, p in enumerate((AMD64, ARM64))
    ]
    root, content = make_index(*images, extra=[attestation, other])
    return replace(root, annotations={"of": "root"}), content


@pytest.mark.parametrize("wanted", [AMD64, ARM64, Platform(architecture="arm64", os="linux")])
def test_an_index_is_narrowed(index: tuple[Descriptor, MemoryContent], wanted: Platform) -> None:
    root, content = index
    target = io.BytesIO()
    written = write_docker_archive(target, content, root, platform=wanted, names=["app"])
    assert written.platform is not None
    assert written.platform.architecture == wanted.architecture
    found = members(target.getvalue())
    assert len(found) == 2 + 3 + 3
    (entry,) = json.loads(found["index.json"][1] or b"")["manifests"]
    assert entry["digest"] == written.digest
    assert entry["platform"]["architecture"] == wanted.architecture
    assert entry["annotations"]["of"] == "root"


def test_several_platforms_are_not_guessed_at(index: tuple[Descriptor, MemoryContent]) -> None:
    root, content = index
    with pytest.raises(InvalidInputError, match=r"linux/amd64, linux/arm64/v8; say for which"):
        write_docker_archive(io.BytesIO(), content, root)
    s390 = Platform(architecture="s390x", os="linux")
    with pytest.raises(
        NotFound, match=r"no image for linux/s390x, but for linux/amd64, linux/arm64"
    ):
        write_docker_archive(io.BytesIO(), content, root, platform=s390)


def test_an_index_of_one_image_needs_no_platform() -> None:
    image = make_image(tar_layer({"a": b"a"}))
    inner, content = make_index(image, image)
    raw = f'{{"schemaVersion":2,"manifests":[{inner.encode()},{inner.encode()}]}}'.encode()
    content.ingest(Descriptor.of(raw, ""), io.BytesIO(raw))
    written = write_docker_archive(
        io.BytesIO(), content, Descriptor.of(raw, mediatype.DOCKER_MANIFEST_LIST)
    )
    assert written == image.descriptor


def test_without_a_platform_the_config_tells_it() -> None:
    bare = []
    for platform in (AMD64, ARM64):
        made = make_image(tar_layer({"a": b"a"}), platform=platform)
        bare.append(replace(made, descriptor=replace(made.descriptor, platform=None)))
    root, content = make_index(*bare)
    written = write_docker_archive(io.BytesIO(), content, root, platform=ARM64)
    assert written.digest == bare[1].descriptor.digest
    with pytest.raises(NotFound, match="no image for linux/arm64/v8, but for linux/amd64"):
        write_docker_archive(io.BytesIO(), content, bare[0].descriptor, platform=ARM64)


def test_an_index_without_images_is_none() -> None:
    root, content = make_index()
    with pytest.raises(NotFound, match=r"has no image$"):
        write_docker_archive(io.BytesIO(), content, root)


# What cannot be represented.


def manifest_of(config_type: str, layer_type: str = mediatype.OCI_LAYER) -> bytes:
    layer = Descriptor.of(b"layer", layer_type)
    return encode_manifest(Form.IMAGE_MANIFEST, [layer], Descriptor.of(b"{}", config_type))


@pytest.mark.parametrize(
    ("raw", "media_type", "words"),
    [
        (b"{}", "application/vnd.docker.distribution.manifest.v1+prettyjws", "neither an image"),
        (b"{}", "", "neither an image nor an index of images: its type is ''"),
        (manifest_of(mediatype.CACHE_CONFIG_V0), mediatype.OCI_MANIFEST, "type of its config is"),
        (manifest_of(mediatype.OCI_CONFIG, "text/x"), mediatype.OCI_MANIFEST, "has the type 'text"),
        (b'{"layers":[]}', mediatype.DOCKER_MANIFEST, "the type of its config is none"),
    ],
)
def test_what_is_no_image(raw: bytes, media_type: str, words: str) -> None:
    target = io.BytesIO()
    with pytest.raises(FailedPrecondition, match=words):
        write_docker_archive(target, MemoryContent([raw]), Descriptor.of(raw, media_type))
    assert not target.getvalue()


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"[]", "the manifest sha256:.*: wants an object"),
        (b'{"manifests":[]}', "is not what its type says"),
    ],
)
def test_what_is_no_manifest(raw: bytes, words: str) -> None:
    with pytest.raises(WireFormat, match=words):
        write_docker_archive(
            io.BytesIO(), MemoryContent([raw]), Descriptor.of(raw, mediatype.OCI_MANIFEST)
        )


def test_a_blob_with_two_sizes() -> None:
    layer = Descriptor.of(b"layer", mediatype.OCI_LAYER)
    config = Descriptor.of(b"{}", mediatype.OCI_CONFIG)
    raw = encode_manifest(Form.IMAGE_MANIFEST, [layer, replace(layer, size=7)], config)
    with pytest.raises(WireFormat, match="two sizes"):
        write_docker_archive(
            io.BytesIO(),
            MemoryContent([raw, b"layer", b"{}"]),
            Descriptor.of(raw, mediatype.OCI_MANIFEST),
        )
