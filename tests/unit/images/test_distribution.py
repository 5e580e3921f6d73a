"""Copying images into a store, from anywhere."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from support.images import make_image, make_index, tar_layer
from unit.images.store.rig import opened, put

from cachexport import Descriptor, MemoryContent
from cachexport.content.verify import read_blob
from cachexport.errors import FailedPrecondition, Integrity, NotFound, WireFormat
from cachexport.images.distribution import copy_image, pull_named, push_image
from cachexport.images.parts import FallbackProvider, take_apart
from cachexport.oci import mediatype
from cachexport.oci.descriptor import Platform

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cachexport import Digest
    from cachexport.content.protocols import Ingester, Reader
    from cachexport.images.store import Store, StoreContent

AMD = Platform(architecture="amd64", os="linux")
ARM = Platform(architecture="arm64", os="linux")
IMAGE = make_image(tar_layer({"a": b"1"}), tar_layer({"b": b"2"}))
OTHER = make_image(tar_layer({"a": b"1"}), platform=ARM)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(tmp_path / "store") as store:
        yield store


@pytest.fixture
def content(store: Store) -> StoreContent:
    return store.content.under(store.leases.create())


@dataclass
class Somewhere:
    """A source and a target of images, in memory, that notes what happens to it."""

    provider: MemoryContent
    root: Descriptor | None = None
    parallelism: int = 1

    def __post_init__(self) -> None:
        self.read: list[Digest] = []
        self.done: list[str] = []

    def open(self, desc: Descriptor) -> Reader:
        self.read.append(desc.digest)
        return self.provider.open(desc)

    def resolve(self) -> Descriptor:
        if self.root is None:
            raise NotFound("nothing there")
        return self.root

    @property
    def ingester(self) -> Ingester:
        return self

    def missing(self, descs: list[Descriptor]) -> set[Digest]:
        return self.provider.missing(descs)

    def ingest(self, desc: Descriptor, reader: Reader) -> None:
        self.done.append(desc.media_type)
        self.provider.ingest(desc, reader)

    def check(self) -> None:
        self.done.append("checked")

    def publish(self, root: Descriptor, raw: bytes) -> None:
        self.done.append("published")
        self.root, self.raw = root, raw

    def close(self) -> None:
        self.done.append("closed")


def index_with_attestation() -> tuple[Descriptor, MemoryContent, Descriptor]:
    layer = Descriptor.of(b"{}", "application/vnd.in-toto+json")
    config = Descriptor.of(b'{"c":1}', mediatype.OCI_CONFIG)
    raw = (
        f'{{"schemaVersion":2,"mediaType":"{mediatype.OCI_MANIFEST}",'
        f'"config":{config.encode()},"layers":[{layer.encode()}]}}'
    ).encode()
    unknown = Platform(architecture="unknown", os="unknown")
    about = replace(Descriptor.of(raw, mediatype.OCI_MANIFEST), platform=unknown)
    root, content = make_index(IMAGE, OTHER, extra=[about])
    blobs = [b"{}", b'{"c":1}', raw, read_blob(content, root), *IMAGE.blobs, *OTHER.blobs]
    return root, MemoryContent(blobs), about


def test_an_index_is_taken_apart_with_its_attestations() -> None:
    root, content, about = index_with_attestation()
    parts = take_apart(content, root)
    assert [desc.digest for desc, _ in parts.manifests] == [
        IMAGE.descriptor.digest,
        OTHER.descriptor.digest,
        about.digest,
    ]
    assert all(desc.platform is None for desc, _ in parts.manifests)
    assert (parts.root, len(parts.blobs)) == (root, 2 + 2 + 2)  # the images share a layer


def test_the_image_for_a_platform_is_taken_apart_alone() -> None:
    root, content, _ = index_with_attestation()
    parts = take_apart(content, root, ARM)
    assert (parts.root.digest, parts.manifests) == (OTHER.descriptor.digest, [])
    assert {d.digest for d in parts.blobs} == {
        OTHER.config.digest,
        *(d.digest for d in OTHER.layers),
    }


def test_layers_that_nobody_may_distribute_stay_where_they_are(content: StoreContent) -> None:
    foreign = replace(
        Descriptor.of(b"base", mediatype.OCI_FOREIGN_LAYER), urls=("https://example.com/base",)
    )
    value = json.loads(read_blob(IMAGE.content, IMAGE.descriptor))
    value["layers"].insert(0, json.loads(foreign.encode()))
    raw = json.dumps(value).encode()
    root = Descriptor.of(raw, mediatype.OCI_MANIFEST)
    assert copy_image(MemoryContent([*IMAGE.blobs, raw]), root, content) == root
    assert content.missing([foreign]) == {foreign.digest}


def test_an_image_is_named_and_held_by_its_name(store: Store) -> None:
    source = Somewhere(IMAGE.content, IMAGE.descriptor)
    lease = store.leases.create()
    image = pull_named(source, store, "app", lease=lease.id)
    assert image.target == IMAGE.descriptor
    store.leases.delete(lease.id)
    assert store.collect_garbage().content == ()


def test_what_is_there_is_not_read(content: StoreContent) -> None:
    source = Somewhere(IMAGE.content)
    copy_image(source, IMAGE.descriptor, content)
    assert len(source.read) == 1 + 1 + 2
    source.read.clear()
    copy_image(source, IMAGE.descriptor, content)
    assert source.read == []


def test_where_content_came_from_is_kept_with_it(content: StoreContent) -> None:
    class Registry(MemoryContent):
        def repositories(self, digest: Digest) -> dict[str, tuple[str, ...]]:
            return {"registry.example": (self.name,)}

    for name in ("team/app", "team/other", "team/app"):
        registry = Registry(IMAGE.blobs)
        registry.name = name
        copy_image(registry, IMAGE.descriptor, content)
    for desc in (IMAGE.descriptor, IMAGE.config, *IMAGE.layers):
        known = {"registry.example": ("team/app", "team/other")}
        assert content.repositories(desc.digest) == known
    label = content.labels(IMAGE.config.digest)[
        "containerd.io/distribution.source.registry.example"
    ]
    assert label == "team/app,team/other"
    registry.name = "x" * 5000
    copy_image(registry, IMAGE.descriptor, content)
    assert content.repositories(IMAGE.config.digest) == known


def test_what_was_made_here_is_in_no_repository(content: StoreContent) -> None:
    class Registry(MemoryContent):
        def repositories(self, digest: Digest) -> dict[str, tuple[str, ...]]:
            return {"registry.example": ("team/app",)}

    made = put(content, b"made here")
    both = FallbackProvider(content, Registry(IMAGE.blobs))
    assert both.repositories(made.digest) == {}
    assert both.repositories(IMAGE.config.digest) == {"registry.example": ("team/app",)}
    copy_image(both, IMAGE.descriptor, content)
    assert both.repositories(IMAGE.config.digest) == {"registry.example": ("team/app",)}
    assert FallbackProvider(content, IMAGE.content).repositories(OTHER.config.digest) == {}


def test_an_index_is_pushed_children_first() -> None:
    root, content, _ = index_with_attestation()
    target = Somewhere(MemoryContent())
    assert push_image(content, root, target) == root
    assert (target.root, target.raw) == (root, read_blob(content, root))
    assert target.done[0] == "checked"
    assert target.done[-4:] == [mediatype.OCI_MANIFEST] * 3 + ["published"]
    assert take_apart(MemoryContent([*target.provider._blobs.values(), target.raw]), root)


@pytest.mark.parametrize("lacking", range(3))
def test_what_is_not_whole_is_not_published(lacking: int) -> None:
    blobs = [blob for number, blob in enumerate(IMAGE.blobs) if number != lacking]
    target = Somewhere(MemoryContent())
    with pytest.raises(NotFound):
        push_image(MemoryContent(blobs), IMAGE.descriptor, target)
    assert "published" not in target.done


def test_what_lies_is_refused(store: Store, content: StoreContent) -> None:
    wrong = MemoryContent(IMAGE.blobs)
    wrong._blobs[IMAGE.layers[0].digest] = b"x" * IMAGE.layers[0].size
    with pytest.raises(Integrity, match="is corrupt"):
        copy_image(wrong, IMAGE.descriptor, content)
    assert store.images.list() == []


def test_what_is_no_image_is_refused(content: StoreContent) -> None:
    empty = b'{"schemaVersion":2,"manifests":[]}'
    root = Descriptor.of(empty, mediatype.OCI_INDEX)
    mistyped = replace(IMAGE.descriptor, media_type=mediatype.OCI_INDEX)
    with pytest.raises(WireFormat, match="not what its type says"):
        copy_image(IMAGE.content, mistyped, content)
    with pytest.raises(NotFound, match="has no image"):
        copy_image(MemoryContent([empty]), root, content)
    with pytest.raises(FailedPrecondition, match="neither an image nor an index"):
        copy_image(MemoryContent([empty]), Descriptor.of(empty, "text/plain"), content)


def test_indexes_may_be_nested_however_deep(content: StoreContent) -> None:
    blobs, desc = list(IMAGE.blobs), IMAGE.descriptor
    for _ in range(1500):
        head = f'{{"schemaVersion":2,"mediaType":"{mediatype.OCI_INDEX}"'
        raw = f'{head},"manifests":[{desc.encode()}]}}'.encode()
        blobs.append(raw)
        desc = Descriptor.of(raw, mediatype.OCI_INDEX)
    parts = take_apart(MemoryContent(blobs), desc)
    assert len(parts.manifests) == 1500
