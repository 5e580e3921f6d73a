"""Writing images as `--output` says."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
from support.images import make_image, make_index, tar_layer
from unit.images.store.rig import opened

from cachexport import MemoryContent
from cachexport.api.images import open_image, output_image
from cachexport.content.layers.convert import diff_id
from cachexport.content.verify import read_blob
from cachexport.errors import (
    CachexportError,
    Integrity,
    InvalidAttr,
    InvalidInputError,
    NotFound,
    PluginError,
    WireFormat,
)
from cachexport.images import encode_image_manifest, open_docker_archive, select_image
from cachexport.images.image import OpenedImage
from cachexport.images.output import DockerOutput, StoreOutput, parse_output
from cachexport.oci import mediatype
from cachexport.oci.compression import Compression
from cachexport.oci.descriptor import Platform
from cachexport.oci.index import Index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cachexport import Descriptor
    from cachexport.content.protocols import Provider
    from cachexport.images.store import Store

ARM = Platform(architecture="arm64", os="linux")
AMD = Platform(architecture="amd64", os="linux")
IMAGE = make_image(tar_layer({"a": b"1"}), tar_layer({"b": b"2" * 9000}))
OTHER = make_image(tar_layer({"a": b"1"}), platform=ARM)
NAME = "docker.io/library/app:1"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(tmp_path / "store") as store:
        yield store


def image() -> OpenedImage:
    return OpenedImage(IMAGE.content, IMAGE.descriptor, lambda: None)


def index() -> OpenedImage:
    root, content = make_index(IMAGE, OTHER)
    return OpenedImage(content, root, lambda: None)


def manifest(provider: Provider, desc: Descriptor) -> Any:
    return json.loads(read_blob(provider, desc))


def members(path: Path) -> list[str]:
    with tarfile.open(path) as archive:
        return archive.getnames()


@pytest.mark.parametrize(
    ("text", "attribute", "problem"),
    [
        ("type=docker", "dest", "needs dest="),
        ("type=docker,dest=", "dest", "wants a path"),
        ("type=docker,dest=x,tar=false", "tar", "for a directory use type=oci"),
        ("type=registry", "name", "needs name="),
        ("type=store,push=true", "name", "needs name="),
        ("type=store,force=true", "force", "unknown attribute 'force'"),
        ("type=oci,dest=x,what=1", "what", r"known: compression, .*, name, .*, dest, tar\)"),
        ("type=local,dest=x", "type", "known: docker, oci, registry, store, image"),
        ("type=oci,dest=x,name=App", "name", "lower-case"),
        ("type=oci,dest=x,compression=estargz", "compression", "estargz is not supported"),
        ("type=oci,dest=x,compression-level=10", "compression-level", "0 to 9|-1 to 9"),
        ("type=oci,dest=x,oci-mediatypes=2", "oci-mediatypes", "wants true or false"),
    ],
)
def test_attributes_that_cannot_be(text: str, attribute: str, problem: str) -> None:
    with pytest.raises(InvalidAttr, match=problem) as caught:
        parse_output(text)
    assert caught.value.name == attribute


def test_attributes_that_can() -> None:
    assert parse_output("app.tar") == DockerOutput(dest="app.tar")
    assert parse_output("type=docker,dest=-", ("app:1",)).names == (NAME,)
    assert parse_output("type=docker,dest=-,name=b", ("app:1",)).names == (
        "docker.io/library/b:latest",
    )
    read = parse_output('type=image,"name=a,b",push=true,registry.insecure=true,annotation.x=y')
    assert isinstance(read, StoreOutput)
    assert (len(read.names), dict(read.rest)) == (2, {"registry.insecure": "true"})
    assert read.annotations == {"x": "y"}
    assert not parse_output("type=oci,dest=x,compression=zstd,rewrite-timestamp=true").changes
    changes = parse_output("type=oci,dest=x,force-compression=,compression-level=1").changes
    assert (changes.compression, changes.level) == (Compression.GZIP, 1)


def test_a_docker_archive(tmp_path: Path) -> None:
    path = tmp_path / "app.tar"
    assert output_image(str(path), image(), names=["app:1"]) == IMAGE.descriptor
    with open_docker_archive(path) as archive:
        assert [found.names for found in archive.images] == [(NAME,)]
    stream = io.BytesIO()
    output_image("type=docker,dest=-,name=app:1", image(), stdout=stream)
    assert stream.getvalue() == path.read_bytes()


def test_an_oci_archive_has_no_list_for_docker(tmp_path: Path) -> None:
    path = tmp_path / "app.tar"
    output_image(f"type=oci,dest={path},name=app:1", image())
    assert "manifest.json" not in members(path)
    assert members(path) == sorted(members(path))
    stream = io.BytesIO()
    output_image("type=oci,dest=-,name=app:1", image(), stdout=stream)
    assert stream.getvalue() == path.read_bytes()
    with open_image(f"type=local,src={path},tag={NAME}") as found:
        assert select_image(found.provider, found.descriptor).layers == tuple(IMAGE.layers)


def test_a_whole_index_goes_into_a_layout_and_one_image_into_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "app.tar"
    output_image(f"type=oci,dest={path}", index())
    with open_docker_archive(path) as archive:
        (found,) = archive.images
        for platform in (AMD, ARM):
            assert select_image(archive, found.descriptor, platform)
    with pytest.raises(InvalidInputError, match="say for which platform"):
        output_image(str(path), index())
    written = output_image(str(path), index(), platform=ARM)
    assert written.digest == OTHER.descriptor.digest
    output_image(f"type=oci,dest={path}", index(), platform=ARM)
    assert len(members(path)) == 2 + 3 + 2


def test_a_directory_gets_one_image_more(tmp_path: Path) -> None:
    folder = tmp_path / "layout"
    for name, source in (("app:1", image()), ("app:2", index()), ("app:1", image())):
        output_image(f"type=oci,dest={folder},tar=false,name={name}", source)
    output_image(f"type=oci,dest={folder},tar=false", image())
    output_image(f"type=oci,dest={folder},tar=false", image())
    found = Index.decode((folder / "index.json").read_bytes())
    assert [entry.annotations.get("io.containerd.image.name") for entry in found.manifests] == [
        "docker.io/library/app:2",
        NAME,
        None,
    ]
    with open_image(f"type=local,src={folder},tag={NAME}") as opened_image:
        assert opened_image.descriptor.digest == IMAGE.descriptor.digest
        assert select_image(opened_image.provider, opened_image.descriptor)
    with open_image(f"type=local,src={folder},digest={IMAGE.descriptor.digest}") as by_digest:
        assert select_image(by_digest.provider, by_digest.descriptor)


def test_the_store_gets_names(store: Store) -> None:
    output_image('type=store,"name=a,b"', image(), store=store)
    output_image("type=image", image(), store=store)
    assert [found.name for found in store.images.list()] == [
        "docker.io/library/a:latest",
        "docker.io/library/b:latest",
        f"moby-dangling@{IMAGE.descriptor.digest}",
    ]
    assert (store.leases.list(), store.collect_garbage().content) == ([], ())


def test_what_was_not_given_is_an_error() -> None:
    with pytest.raises(InvalidInputError, match="no store was given"):
        output_image("type=store", image())
    with pytest.raises(InvalidInputError, match="the standard output, which was not given"):
        output_image("type=oci,dest=-", image())


@pytest.mark.parametrize("kind", ["zstd", "uncompressed"])
def test_layers_are_compressed_otherwise(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "app.tar"
    output_image(f"type=oci,dest={path},compression={kind},force-compression=true", image())
    with open_docker_archive(path) as archive:
        found = select_image(archive, archive.images[0].descriptor)
        assert {Compression.of(layer.media_type) for layer in found.layers} == {kind}
        assert found.config == IMAGE.config
        for old, new in zip(IMAGE.layers, found.layers, strict=True):
            assert diff_id(archive, new) == diff_id(IMAGE.content, old)
            assert new.annotations == {}


def test_without_force_layers_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "app.tar"
    written = output_image(f"type=oci,dest={path},compression=zstd", image())
    assert written.digest == IMAGE.descriptor.digest


def test_media_types_are_spelled_otherwise_and_back(store: Store) -> None:
    docker = output_image("type=store,name=d,oci-mediatypes=false", image(), store=store)
    found = manifest(store.content, docker)
    assert docker.media_type == found["mediaType"] == mediatype.DOCKER_MANIFEST
    assert found["config"]["mediaType"] == mediatype.DOCKER_CONFIG
    assert {layer["mediaType"] for layer in found["layers"]} == {mediatype.DOCKER_LAYER_GZIP}
    kept = OpenedImage(store.content, docker, lambda: None)
    back = output_image("type=store,name=o,oci-mediatypes=true", kept, store=store)
    assert back.digest == IMAGE.descriptor.digest


def test_annotations_are_added(store: Store) -> None:
    first = output_image("type=store,annotation.a=1,annotation.b=<2>", image(), store=store)
    kept = OpenedImage(store.content, first, lambda: None)
    second = output_image("type=store,annotation.b=3", kept, store=store)
    assert manifest(store.content, second)["annotations"] == {"a": "1", "b": "3"}
    with pytest.raises(InvalidInputError, match="Docker's manifests have no annotations"):
        output_image("type=store,annotation.b=3,oci-mediatypes=false", kept, store=store)


def test_one_image_of_an_index_is_changed_but_not_all_at_once(store: Store) -> None:
    spec = "type=store,name=x,compression=zstd,force-compression=true"
    with pytest.raises(InvalidInputError, match="say for which platform"):
        output_image(spec, index(), store=store)
    written = output_image(spec, index(), platform=ARM, store=store)
    assert select_image(store.content, written).config == OTHER.config


@pytest.mark.parametrize("spec", ["type=oci,dest={}", "type=docker,dest={}"])
@pytest.mark.parametrize("changes", ["", ",compression=zstd,force-compression=true"])
def test_what_cannot_be_read_leaves_nothing(tmp_path: Path, spec: str, changes: str) -> None:
    content = IMAGE.content
    content._blobs[IMAGE.layers[1].digest] = b"x" * IMAGE.layers[1].size
    broken = OpenedImage(content, IMAGE.descriptor, lambda: None)
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(CachexportError, match=r"is corrupt|is not valid gzip"):
        output_image(spec.format(folder / "app.tar") + changes, broken)
    assert list(folder.iterdir()) == []


def test_a_config_that_lies_about_layers_is_found_when_they_are_converted(tmp_path: Path) -> None:
    config = read_blob(IMAGE.content, IMAGE.config)
    first, second = (layer for layer in json.loads(config)["rootfs"]["diff_ids"])
    for wrong, error in (
        (config.replace(first.encode(), second.encode()), Integrity),
        (config.replace(f'"{first}",'.encode(), b""), WireFormat),
    ):
        desc, raw = encode_image_manifest(wrong, IMAGE.layers)
        lying = OpenedImage(MemoryContent([*IMAGE.blobs, wrong, raw]), desc, lambda: None)
        with pytest.raises(error):
            spec = f"type=oci,dest={tmp_path / 'x'},compression=zstd,force-compression=true"
            output_image(spec, lying)


def test_what_has_no_images() -> None:
    with pytest.raises(PluginError, match="type=s3 has build caches, but no images"):
        open_image("type=s3,bucket=b,region=r")
    with pytest.raises(NotFound):
        open_image("type=local,src=/nowhere/at/all")
