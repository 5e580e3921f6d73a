from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import replace

import pytest
from support import caches
from support.images import MadeImage, make_image, tar_layer
from unit.images.packing import archived, members

from cachexport.content.memory import MemoryContent
from cachexport.errors import (
    InvalidReference,
)
from cachexport.images import open_docker_archive, write_docker_archive
from cachexport.images.archive.tarheader import file_header
from cachexport.model.envelope.manifest import (
    Form,
    encode_manifest,
)
from cachexport.oci import mediatype
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.digest import Digest

BUILDKITS = caches.FOLDER / "docker-archive.tar"


@pytest.fixture
def image() -> MadeImage:
    return make_image(tar_layer({"a": b"a"}), tar_layer({"b": b"b" * 2000}))


def test_buildkits_archive_is_written_again_to_the_byte() -> None:
    target = io.BytesIO()
    with open_docker_archive(BUILDKITS) as archive:
        (image,) = archive.images
        assert (image.names, archive.manifest_mode) == (("docker.io/example/app:1",), 0o644)
        write_docker_archive(
            target,
            archive,
            image.descriptor,
            names=image.names,
            manifest_mode=archive.manifest_mode,
        )
    assert target.getvalue() == BUILDKITS.read_bytes()


def test_what_is_in_an_archive(image: MadeImage) -> None:
    found = members(archived(image, names=["example/app:1", "registry.example:5000/x"]))
    folder = "blobs/sha256/"
    blobs = [image.descriptor, image.config, *image.layers]
    files = sorted(folder + desc.digest.encoded for desc in blobs)
    others = {"index.json": 0o644, "manifest.json": 0o444, "oci-layout": 0o444}
    modes = {"blobs/": 0o755, folder: 0o755, **dict.fromkeys(files, 0o444), **others}
    assert [(name, mode) for name, (mode, _) in found.items()] == list(modes.items())
    for name in files:
        assert Digest.of(found[name][1] or b"").encoded == name.removeprefix(folder)
    assert found["oci-layout"][1] == b'{"imageLayoutVersion":"1.0.0"}'


def test_what_manifest_json_says(image: MadeImage) -> None:
    def saved(**options: object) -> object:
        return json.loads(members(archived(image, **options))["manifest.json"][1] or b"")

    layers = [f"blobs/sha256/{layer.digest.encoded}" for layer in image.layers]
    config = f"blobs/sha256/{image.config.digest.encoded}"
    assert saved() == [{"Config": config, "RepoTags": None, "Layers": layers}]
    assert saved(names="app")[0]["RepoTags"] == ["app:latest"]  # type: ignore[index]
    names = ["app", "docker.io/library/app:latest", "example/app:1", "localhost/x:y"]
    (item,) = saved(names=names)  # type: ignore[misc]
    assert item["RepoTags"] == ["app:latest", "example/app:1", "localhost/x:y"]


def test_what_index_json_says(image: MadeImage) -> None:
    told = replace(image, descriptor=replace(image.descriptor, annotations={"org.example": "x"}))
    index = json.loads(members(archived(told, names=["app", "a/b:c"]))["index.json"][1] or b"")
    assert index["mediaType"] == mediatype.OCI_INDEX
    first, second = map(Descriptor.decode, index["manifests"])
    assert first.annotations == {
        "org.example": "x",
        "io.containerd.image.name": "docker.io/library/app:latest",
        "org.opencontainers.image.ref.name": "latest",
    }
    assert second.annotations["org.opencontainers.image.ref.name"] == "c"
    assert replace(first, annotations={}) == replace(second, annotations={}) == image.descriptor
    (entry,) = json.loads(members(archived(told))["index.json"][1] or b"")["manifests"]
    assert Descriptor.decode(entry) == told.descriptor


@pytest.mark.parametrize("name", ["", "UPPER", "app@sha256:" + "0" * 64, "a:b:c"])
def test_a_name_that_docker_would_not_load(image: MadeImage, name: str) -> None:
    target = io.BytesIO()
    with pytest.raises(InvalidReference):
        write_docker_archive(target, image.content, image.descriptor, names=[name])
    assert not target.getvalue()


def test_the_same_image_has_the_same_bytes(image: MadeImage) -> None:
    assert archived(image, names=["app"]) == archived(image, names=["app"])
    assert archived(image, names=["app"]) != archived(image, names=["app"], manifest_mode=0o600)


def test_a_layer_that_occurs_twice_is_there_once() -> None:
    image = make_image(*[tar_layer({"a": b"a"})] * 2)
    found = members(archived(image))
    assert len(found) == 2 + 3 + 3
    (item,) = json.loads(found["manifest.json"][1] or b"")
    assert len(item["Layers"]) == 2


def test_an_image_without_layers() -> None:
    (item,) = json.loads(members(archived(make_image()))["manifest.json"][1] or b"")
    assert item["Layers"] == []


def test_a_digest_of_another_algorithm_has_a_folder_and_a_long_name() -> None:
    raw = b"{}"
    config = Descriptor(
        media_type=mediatype.OCI_CONFIG,
        digest=Digest.parse("sha512:" + hashlib.sha512(raw).hexdigest()),
        size=2,
    )
    manifest = encode_manifest(Form.IMAGE_MANIFEST, [], config)
    content = MemoryContent([manifest])
    content.ingest(config, io.BytesIO(raw))
    target = io.BytesIO()
    write_docker_archive(target, content, Descriptor.of(manifest, mediatype.OCI_MANIFEST))
    names = list(members(target.getvalue()))
    assert names[:3] == ["blobs/", "blobs/sha256/", f"blobs/sha256/{Digest.of(manifest).encoded}"]
    assert names[3:5] == ["blobs/sha512/", f"blobs/sha512/{config.digest.encoded}"]


@pytest.mark.parametrize("size", [0, 1, 512, 8**11 - 1, 8**11, 10**13])
def test_files_of_any_size_have_a_header(size: int) -> None:
    name = f"blobs/sha256/{'a' * 64}"
    raw = file_header(name, 0o444, size)
    assert len(raw) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(raw + bytes(1024))) as archive:
        member = archive.next()
    assert member is not None
    assert (member.name, member.size, member.mode) == (name, size, 0o444)
