"""Exporting the image of a build to a store."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from support.images import described_layer, make_image, tar_layer
from unit.images.store.rig import Clock, opened

from cachexport import CacheChains, CacheResult, Descriptor, MemoryContent, Remote, encode_inline
from cachexport.content.verify import read_blob
from cachexport.errors import InvalidInputError, InvalidReference, NotFound
from cachexport.images import empty_config, parse_history, read_config, select_image
from cachexport.images import exporter as module
from cachexport.images.config.config import read_diff_ids
from cachexport.images.exporter import BuildResult, ImageExporter
from cachexport.images.store import StoreContent
from cachexport.images.store.images import Images
from cachexport.oci.descriptor import Platform

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cachexport import Event
    from cachexport.images.exporter import ExportedImage
    from cachexport.images.store import Store

ARM = Platform(architecture="arm64", os="linux", variant="v8")
AMD = Platform(architecture="amd64", os="linux")
IMAGE = make_image(tar_layer({"a": b"1"}), tar_layer({"b": b"2" * 5000}))
CONFIG = json.dumps({"architecture": "amd64", "os": "linux", "extra": {"kept": 1.50}}).encode()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(tmp_path / "store", Clock()) as store:
        yield store


def told() -> list[Descriptor]:
    """Give the layers as a build has them, with their notes."""
    raw = [tar_layer({"a": b"1"}), tar_layer({"b": b"2" * 5000})]
    return [described_layer(n, raw[n], IMAGE.blobs[n]) for n in range(2)]


LAYERS = Remote(told(), IMAGE.content)


def exported(store: Store, result: BuildResult, name: str = "", **more: Any) -> ExportedImage:
    attrs = {"name": name} if name else {}
    return ImageExporter(store, attrs, platform=AMD).export(result, **more)


def platforms(*names: str) -> dict[str, bytes]:
    parts = [{"ID": n, "Platform": {"architecture": n, "os": "linux"}} for n in names]
    return {"refs.platforms": json.dumps({"Platforms": parts}).encode()}


def config_of(store: Store, image: ExportedImage) -> bytes:
    return read_blob(store.content, image.descriptor)


def test_the_answer_has_these_keys_and_the_store_the_image(store: Store) -> None:
    with exported(store, BuildResult(ref=LAYERS, metadata={"containerimage.config": CONFIG})) as it:
        assert dict(it.response) == {
            "containerimage.config.digest": it.descriptor.digest,
            "containerimage.digest": it.manifest.digest,
        }
        image = select_image(store.content, it.manifest)
        assert image.config.digest == it.descriptor.digest
        config = read_config(store.content, image)
        assert json.loads(config)["extra"] == {"kept": 1.5}
        assert b'"kept":1.5' in config
        assert [d.digest for d in image.layers] == [d.digest for d in LAYERS.descriptors]
        assert list(read_diff_ids(config)) == [d.diff_id for d in LAYERS.descriptors]
        assert [e.created_by for e in parse_history(config) or ()] == ["COPY <0> /", "COPY <1> /"]
        for layer in image.layers:
            assert read_blob(store.content, layer) in IMAGE.blobs


def test_names_are_completed_made_and_moved(store: Store) -> None:
    names = "app,registry.example/team/app:1,app:latest"
    whole = ["docker.io/library/app:latest", "registry.example/team/app:1"]
    with exported(store, BuildResult(), names) as first:
        assert first.response["image.name"] == ",".join(whole)
    with exported(store, BuildResult(ref=LAYERS), names) as second:
        assert {i.name: i.target for i in store.images.list()} == dict.fromkeys(
            whole, second.manifest
        )
    assert store.collect_garbage().content
    assert select_image(store.content, second.manifest).layers
    with pytest.raises(NotFound):
        select_image(store.content, first.manifest)


@pytest.mark.parametrize("name", ["App", "app:1,,app:2", "app@sha256:" + "0" * 64])
def test_a_bad_name_is_refused_at_once(store: Store, name: str) -> None:
    with pytest.raises(InvalidReference):
        ImageExporter(store, {"name": name}, platform=AMD)


def test_what_is_no_name_is_metadata(store: Store) -> None:
    attrs = {"name": "app", "note": "x", "containerimage.config": CONFIG.decode()}
    exporter = ImageExporter(store, attrs, platform=ARM)
    assert exporter.metadata == {"note": b"x", "containerimage.config": CONFIG}
    with exporter.export(BuildResult()) as image:
        assert b'"amd64"' in config_of(store, image)


def test_without_a_config_it_is_an_empty_one(store: Store) -> None:
    with ImageExporter(store, {}, platform=ARM).export(BuildResult()) as image:
        wanted = json.loads(empty_config("arm64", "linux", "v8"))
        assert json.loads(config_of(store, image)) == {
            **wanted,
            "history": None,
            "created": None,
        }


def test_one_of_a_map_is_taken_with_its_own_config(store: Store) -> None:
    metadata = {
        **platforms("riscv64"),
        "containerimage.config": b"not this",
        "containerimage.config/riscv64": CONFIG,
    }
    with exported(store, BuildResult(refs={"riscv64": LAYERS}, metadata=metadata)) as image:
        found = json.loads(config_of(store, image))
        assert found["extra"] == {"kept": 1.5}
    del metadata["containerimage.config/riscv64"]
    with exported(store, BuildResult(refs={"riscv64": None}, metadata=metadata)) as image:
        assert json.loads(config_of(store, image))["architecture"] == "riscv64"


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (BuildResult(ref=LAYERS, refs={"a": LAYERS}, metadata=platforms("a")), "not both"),
        (BuildResult(refs={"a": LAYERS, "b": None}, metadata=platforms("a", "b")), "not a, b"),
        (BuildResult(refs={"a": LAYERS}, metadata=platforms("a", "b")), "1 refs, but 2 platforms"),
        (BuildResult(refs={"a": LAYERS}, metadata=platforms()), "1 refs, but 0 platforms"),
        (BuildResult(refs={"a": LAYERS}), r"refs\.platforms is not in the metadata"),
        (BuildResult(refs={"a": LAYERS}, metadata={"refs.platforms": b"[]"}), "wants an object"),
        (BuildResult(metadata={"containerimage.config": b"[]"}), "wants an object"),
    ],
)
def test_what_is_not_one_image_is_refused(store: Store, result: BuildResult, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        exported(store, result)
    assert store.leases.list() == []


def test_the_inline_cache_is_asked_for_the_layers(store: Store) -> None:
    chains = CacheChains()
    chains.add(
        IMAGE.config.digest, results=[CacheResult("2026-11-22T08:00:00Z", Remote([told()[0]]))]
    )
    inline = partial(encode_inline, chains)
    with exported(store, BuildResult(ref=LAYERS), inline_cache=inline) as image:
        assert "moby.buildkit.cache.v0" in json.loads(config_of(store, image))
    with exported(store, BuildResult(), inline_cache=lambda layers: None) as image:
        assert "moby.buildkit.cache.v0" not in json.loads(config_of(store, image))


def test_the_steps_are_told_in_order(store: Store) -> None:
    events: list[Event] = []
    result = BuildResult(ref=LAYERS)
    with exported(store, result, "b,a", progress=events.append) as image:
        digest = image.descriptor.digest
    assert [event.step for event in events if event.state == "done"] == [
        "exporting layers",
        f"writing image {digest}",
        "naming to docker.io/library/b:latest",
        "naming to docker.io/library/a:latest",
    ]
    size = sum(desc.size for desc in LAYERS.descriptors)
    ended = next(event for event in events if event.state == "done")
    assert (ended.current, ended.total) == (size, size)


def test_the_callback_hears_of_it_before_the_return(store: Store) -> None:
    heard: list[tuple[str, Descriptor]] = []

    def hear(name: str, desc: Descriptor) -> None:
        assert store.images.get("docker.io/library/app:latest").target.digest == name
        assert len(store.leases.list()) == 1
        heard.append((name, desc))

    exporter = ImageExporter(store, {"name": "app"}, platform=AMD, exported=hear)
    with exporter.export(BuildResult(ref=LAYERS)) as image:
        assert heard == [(image.response["containerimage.digest"], image.descriptor)]


def test_the_lease_holds_the_image_until_it_is_released(store: Store) -> None:
    image = exported(store, BuildResult(ref=LAYERS))
    assert store.collect_garbage().content == ()
    assert image.descriptor.digest in store.leases.resources(image.lease.id)
    image.release()
    image.release()
    assert store.leases.list() == []
    assert len(store.collect_garbage().content) == 4


def test_layers_that_are_there_are_not_read_again(store: Store) -> None:
    with exported(store, BuildResult(ref=LAYERS)):
        absent = Remote(LAYERS.descriptors, MemoryContent())
        with exported(store, BuildResult(ref=absent)) as again:
            assert select_image(store.content, again.manifest).layers


def test_layers_come_from_where_each_is_and_tell_what_they_did_not(store: Store) -> None:
    first, second = (Descriptor.of(IMAGE.blobs[n], told()[n].media_type) for n in range(2))
    one, other = MemoryContent(IMAGE.blobs[:1]), MemoryContent(IMAGE.blobs[1:2])
    with exported(store, BuildResult(ref=Remote([first], one).stack(second, other))) as image:
        found = read_diff_ids(config_of(store, image))
        assert list(found) == [desc.diff_id for desc in told()]


def test_the_same_build_gives_the_same_bytes_anywhere(tmp_path: Path) -> None:
    answers = []
    for number in range(2):
        with opened(tmp_path / str(number), Clock(now=number * 1e9)) as store:
            metadata = {"containerimage.config": CONFIG}
            with exported(store, BuildResult(ref=LAYERS, metadata=metadata), "app") as image:
                answers.append(dict(image.response))
    assert answers[0] == answers[1]


class Injected(Exception):
    pass


def failing(patch: pytest.MonkeyPatch, owner: Any, name: str, at: int = 1) -> None:
    """Let the call of this number fail."""
    real, calls = getattr(owner, name), []

    def fake(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        if len(calls) == at:
            raise Injected
        return real(*args, **kwargs)

    patch.setattr(owner, name, fake)


@pytest.mark.parametrize(
    ("owner", "name", "at"),
    [
        (StoreContent, "missing", 1),
        *((StoreContent, "ingest", number) for number in (1, 2, 3, 4)),
        (module, "with_diff_ids", 1),
        (module, "complete_config", 1),
        (module, "encode_image_manifest", 1),
        (Images, "put", 1),
        (Images, "put", 2),
    ],
)
def test_whatever_fails_no_lease_is_left(
    store: Store, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, at: int
) -> None:
    failing(monkeypatch, owner, name, at)
    with pytest.raises(Injected):
        exported(store, BuildResult(ref=LAYERS), "a,b")
    assert store.leases.list() == []
    for image in store.images.list():
        store.images.delete(image.name)
    store.collect_garbage()
    assert store.content.list() == []


@pytest.mark.parametrize("error", [Injected(), KeyboardInterrupt()])
def test_a_callback_or_inline_cache_that_fails_leaves_no_lease(
    store: Store, error: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise error

    exporter = ImageExporter(store, {}, platform=AMD, exported=fail)
    with pytest.raises(type(error)):
        exporter.export(BuildResult(ref=LAYERS))
    with pytest.raises(type(error)):
        exported(store, BuildResult(ref=LAYERS), inline_cache=fail)
    assert store.leases.list() == []


@pytest.mark.parametrize("content", [MemoryContent(), MemoryContent(IMAGE.blobs[:1])])
def test_layers_that_cannot_be_had_leave_nothing(store: Store, content: MemoryContent) -> None:
    with pytest.raises(NotFound):
        exported(store, BuildResult(ref=Remote(LAYERS.descriptors, content)))
    assert store.leases.list() == []
    store.collect_garbage()
    assert store.content.list() == []
