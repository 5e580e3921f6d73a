from __future__ import annotations

import itertools
import logging
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.images import MadeImage, make_image, tar_layer
from unit.images.builder.rig import named
from unit.images.store.rig import Clock, index_of, opened, put

from cachexport.content.copy import copy_blob
from cachexport.content.files.mounts import mounted
from cachexport.errors import (
    CachexportError,
    FailedPrecondition,
    InvalidReference,
    NotFound,
    WireFormat,
)
from cachexport.images import empty_config, parse_history
from cachexport.images.builder import Policy, PullPolicy, Rights, Snapshots, Way
from cachexport.images.builder.classic import DANGLING, EMPTY, LABEL, PARENT, ClassicBuilder
from cachexport.images.config.config import read_diff_ids
from cachexport.oci import mediatype
from cachexport.oci.descriptor import Platform
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cachexport.images.store import NamedImage, Store
    from cachexport.oci.reference import Reference

AMD = Platform(architecture="amd64", os="linux")
ARM = Platform(architecture="arm64", os="linux")
WINDOWS = Platform(architecture="amd64", os="windows")
NAME = "docker.io/library/app:latest"


@dataclass
class Remote:
    """A registry, as far as a puller needs one."""

    store: Store
    images: dict[str, MadeImage] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def pull(self, reference: Reference, platform: Platform | None, lease: str) -> NamedImage:
        self.asked.append(f"{reference} for {platform}")
        if str(reference) not in self.images:
            raise NotFound(f"there is no image {reference}")
        return self.bring(str(reference), self.images[str(reference)], lease)

    def bring(self, name: str, image: MadeImage, lease: str = "") -> NamedImage:
        content = self.store.content.under(lease) if lease else self.store.content
        for desc in (*image.layers, image.config, image.descriptor):
            copy_blob(image.content, content, desc)
        return self.store.images.put(name, image.descriptor)


@pytest.fixture
def store() -> Iterator[Store]:
    place = Path(tempfile.mkdtemp())
    with opened(place / "store", Clock()) as store:
        yield store
        assert store.leases.list() == []
        store.collect_garbage()
        for image in store.images.list():
            store.images.delete(image.name)
        store.collect_garbage()
        assert store.content.list() == []
        assert not list(store.directories.place.glob("*"))
    assert not [each for each in mounted() if each.point.is_relative_to(place)]
    shutil.rmtree(place)


@pytest.fixture
def remote(store: Store) -> Remote:
    return Remote(store)


@pytest.fixture(params=[Way.AUTO, Way.COPY])
def builder(store: Store, remote: Remote, request: pytest.FixtureRequest) -> ClassicBuilder:
    return builder_of(store, remote, request.param)


def builder_of(store: Store, remote: Remote, way: Way = Way.AUTO) -> ClassicBuilder:
    rights = Rights(owners=os.geteuid() == 0)
    snapshots = Snapshots.open(store, way=way, rights=rights)
    return ClassicBuilder(store, snapshots, remote, platform=AMD, policy=Policy(latest=1000))


def image_of(text: bytes, platform: Platform = AMD) -> MadeImage:
    return make_image(tar_layer({"base": text}), tar_layer({"more": text}), platform=platform)


LOCAL, REMOTE = image_of(b"local"), image_of(b"remote")
LOCAL_ARM, REMOTE_ARM = image_of(b"local", ARM), image_of(b"remote", ARM)
IMAGES = {"-": None, "amd": "amd", "arm": "arm"}

# policy, in the store, in the registry: what is given, whether it was asked for, and a warning
PULLS = {
    ("missing", "-", "-"): (None, True, False),
    ("missing", "-", "amd"): (REMOTE, True, False),
    ("missing", "-", "arm"): (REMOTE_ARM, True, True),
    ("missing", "amd", "-"): (LOCAL, False, False),
    ("missing", "amd", "amd"): (LOCAL, False, False),
    ("missing", "amd", "arm"): (LOCAL, False, False),
    ("missing", "arm", "-"): (LOCAL_ARM, True, True),
    ("missing", "arm", "amd"): (REMOTE, True, False),
    ("missing", "arm", "arm"): (REMOTE_ARM, True, True),
    ("always", "-", "-"): (None, True, False),
    ("always", "-", "amd"): (REMOTE, True, False),
    ("always", "-", "arm"): (REMOTE_ARM, True, True),
    ("always", "amd", "-"): (None, True, False),
    ("always", "amd", "amd"): (REMOTE, True, False),
    ("always", "amd", "arm"): (REMOTE_ARM, True, True),
    ("always", "arm", "-"): (None, True, False),
    ("always", "arm", "amd"): (REMOTE, True, False),
    ("always", "arm", "arm"): (REMOTE_ARM, True, True),
    ("never", "-", "-"): (None, False, False),
    ("never", "-", "amd"): (None, False, False),
    ("never", "-", "arm"): (None, False, False),
    ("never", "amd", "-"): (LOCAL, False, False),
    ("never", "amd", "amd"): (LOCAL, False, False),
    ("never", "amd", "arm"): (LOCAL, False, False),
    ("never", "arm", "-"): (LOCAL_ARM, False, True),
    ("never", "arm", "amd"): (LOCAL_ARM, False, True),
    ("never", "arm", "arm"): (LOCAL_ARM, False, True),
}


@pytest.mark.parametrize("case", PULLS, ids="-".join)
def test_pull_policies(
    store: Store,
    remote: Remote,
    case: tuple[str, str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    policy, here, there = case
    wanted, is_asked, is_warned = PULLS[case]
    local = {"amd": LOCAL, "arm": LOCAL_ARM}
    remotes = {"amd": REMOTE, "arm": REMOTE_ARM}
    if here in local:
        remote.bring(NAME, local[here])
    if there in remotes:
        remote.images[NAME] = remotes[there]
    builder = builder_of(store, remote)
    with caplog.at_level(logging.WARNING):
        if wanted is None:
            with pytest.raises(NotFound, match="no image"):
                builder.get_image_and_releasable_layer("app", pull=PullPolicy(policy))
        else:
            image, layer = builder.get_image_and_releasable_layer("app", pull=PullPolicy(policy))
            with layer:
                assert image is not None
                assert image.descriptor == wanted.descriptor
                assert [each.digest for each in layer.layers] == [
                    each.digest for each in wanted.layers
                ]
                assert layer.diff_id == read_diff_ids(image.config)[-1]
                (lease,) = store.leases.list({LABEL: "true"})
                assert lease.expires == lease.created + 24 * 3600
    assert remote.asked == ([f"{NAME} for linux/amd64"] if is_asked else [])
    assert [record.getMessage() for record in caplog.records] == (
        [f"the image {NAME} is for linux/arm64, which is not linux/amd64"] if is_warned else []
    )


def test_the_image_of_an_index_is_the_one_for_the_platform(
    builder: ClassicBuilder, store: Store, remote: Remote
) -> None:
    for name, image in (("amd", LOCAL), ("arm", LOCAL_ARM)):
        remote.bring(name, image)
    parts = [LOCAL.descriptor, LOCAL_ARM.descriptor]
    index = put(store.content, index_of(*parts), mediatype.OCI_INDEX)
    store.images.create(NAME, index)
    for platform, image in ((AMD, LOCAL), (ARM, LOCAL_ARM)):
        found, layer = builder.get_image_and_releasable_layer("app", platform=platform)
        layer.release()
        assert found is not None
        assert found.descriptor.digest == image.descriptor.digest
        assert found.root == index
    with pytest.raises(NotFound, match="no image"):
        builder.get_image_and_releasable_layer(
            "app", platform=Platform(architecture="riscv64", os="linux")
        )
    assert remote.asked == [f"{NAME} for linux/riscv64"]


@pytest.mark.parametrize("is_image", [True, False])
def test_a_system_that_cannot_be_built_for_is_an_error(
    builder: ClassicBuilder, store: Store, remote: Remote, is_image: bool
) -> None:
    remote.bring(NAME, image_of(b"x", WINDOWS))
    platform = None if is_image else WINDOWS
    what = f"the image {NAME}" if is_image else "the platform windows/amd64"
    with pytest.raises(FailedPrecondition, match=f"{what} is for windows; only linux can be built"):
        builder.get_image_and_releasable_layer("app", pull=PullPolicy.NEVER, platform=platform)


def test_scratch_is_a_layer_in_which_nothing_is(builder: ClassicBuilder) -> None:
    image, layer = builder.get_image_and_releasable_layer("")
    assert image is None
    assert layer.diff_id == EMPTY == Digest.of(bytes(1024))
    assert layer.layers == ()
    layer.release()
    layer.release()


def test_a_build_from_scratch_and_one_on_it(builder: ClassicBuilder, store: Store) -> None:
    _, below = builder.get_image_and_releasable_layer("")
    with below, below.new_rw_layer() as work:
        (work.root / "hello").write_text("world")
        with work.commit() as layer:
            assert layer.descriptor is not None
            assert named(store.content, layer.descriptor) == ["hello"]
            config = empty_config("amd64")
            first = builder.create_image(config, None, layer)
    assert first.name == f"{DANGLING}{first.descriptor.digest}"
    assert read_diff_ids(first.config) == (layer.diff_id,)
    assert PARENT not in store.images.get(first.name).labels
    store.collect_garbage()

    base, below = builder.get_image_and_releasable_layer(first.descriptor.digest)
    assert base == first
    with below, below.new_rw_layer() as work:
        below.release()
        store.collect_garbage()
        assert (work.root / "hello").read_text() == "world"
        (work.root / "more").write_text("more")
        with work.commit() as layer:
            second = builder.create_image(base.config, base, layer)
            # What was made is unpacked, and held by the image.
        with work.commit() as again:
            assert again.diff_id == layer.diff_id
    assert store.images.get(second.name).labels == {PARENT: first.descriptor.digest}
    assert read_diff_ids(second.config) == (*read_diff_ids(first.config), layer.diff_id)
    assert len(parse_history(second.config) or ()) == 2
    before = store.collect_garbage()
    assert os.listdir(store.directories.place) != []
    assert store.collect_garbage().snapshots == 0, before


def test_a_layer_in_which_nothing_is_adds_none(builder: ClassicBuilder, remote: Remote) -> None:
    remote.bring(NAME, LOCAL)
    base, below = builder.get_image_and_releasable_layer("app")
    assert base is not None
    with below, below.new_rw_layer() as work, work.commit() as layer:
        assert layer.descriptor is None
        assert layer.diff_id == EMPTY
        assert layer.layers == below.layers
        image = builder.create_image(base.config, base, layer)
        assert builder.create_image(base.config, base, None) == image
        with layer.new_rw_layer() as more:
            assert (more.root / "base").read_text() == "local"
    assert image.layers == base.layers


def test_the_same_build_gives_the_same_image(store: Store, remote: Remote) -> None:
    remote.bring(NAME, LOCAL)
    made = []
    for way in (Way.AUTO, Way.COPY):
        builder = builder_of(store, remote, way)
        base, below = builder.get_image_and_releasable_layer("app")
        assert base is not None
        with below, below.new_rw_layer() as work:
            (work.root / "x").write_text("x")
            with work.commit() as layer:
                made.append(builder.create_image(base.config, base, layer))
    assert made[0] == made[1]


def test_leases_are_there_as_long_as_what_they_are_for(
    builder: ClassicBuilder, store: Store, remote: Remote
) -> None:
    remote.bring(NAME, LOCAL)
    _, below = builder.get_image_and_releasable_layer("app")
    assert len(store.leases.list({LABEL: "true"})) == 1
    work = below.new_rw_layer()
    assert len(store.leases.list()) == 2
    layer = work.commit()
    assert len(store.leases.list()) == 3
    for each in (below, work, layer, layer, work, below):
        each.release()
    assert store.leases.list() == []


def test_wrong_calls(builder: ClassicBuilder, store: Store) -> None:
    with pytest.raises(InvalidReference):
        builder.get_image_and_releasable_layer("no name")
    with pytest.raises(NotFound, match="allow to pull it"):
        builder.get_image_and_releasable_layer(Digest.of(b"nothing"))
    with pytest.raises(WireFormat):
        builder.create_image(b"no config", None, None)
    with pytest.raises(FailedPrecondition, match="config is for windows"):
        builder.create_image(empty_config("amd64", "windows"), None, None)


STEPS = {
    "unpacking": "cachexport.images.builder.snapshots.unpack_layer",
    "publishing": "cachexport.images.store.directories.OwnDirectory.publish",
    "config": "cachexport.images.builder.classic.builder.complete_config",
    "manifest": "cachexport.images.builder.classic.builder.encode_image_manifest",
    "blobs": "cachexport.images.builder.classic.builder.ingest_bytes",
    "name": "cachexport.images.store.images.Images.put",
}


@pytest.mark.parametrize("step", STEPS)
def test_an_image_that_fails_leaves_nothing(
    builder: ClassicBuilder,
    store: Store,
    remote: Remote,
    step: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remote.bring(NAME, LOCAL)
    base, below = builder.get_image_and_releasable_layer("app")
    assert base is not None
    with below, below.new_rw_layer() as work:
        (work.root / "x").write_text("x")
        layer = work.commit()
    before = _state(store)
    with monkeypatch.context() as patch, layer:
        patch.setattr(STEPS[step], _fail)
        with pytest.raises(CachexportError, match="injected"):
            builder.create_image(base.config, base, layer)
        assert _state(store) == before
        patch.undo()
        image = builder.create_image(base.config, base, layer)
    store.images.delete(image.name)


def _fail(*_: object, **__: object) -> None:
    raise FailedPrecondition("injected")


def _state(store: Store) -> object:
    """Give all that is in the store once nobody's is gone."""
    store.collect_garbage()
    return (
        store.content.list(),
        [image.name for image in store.images.list()],
        sorted(lease.id for lease in store.leases.list()),
    )


@pytest.mark.parametrize("step", ["changes", "store", "hold"])
def test_a_commit_that_fails_leaves_nothing(
    builder: ClassicBuilder,
    store: Store,
    remote: Remote,
    step: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remote.bring(NAME, LOCAL)
    _, below = builder.get_image_and_releasable_layer("app")
    where = {
        "changes": "cachexport.images.builder.changes.compare",
        "store": "cachexport.images.builder.writable.store_changes",
        "hold": "cachexport.images.builder.classic.layers.ReleasableLayer.__init__",
    }
    with below, below.new_rw_layer() as work:
        (work.root / "x").write_text("x")
        before = _state(store)
        with monkeypatch.context() as patch:
            patch.setattr(where[step], _fail)
            with pytest.raises(CachexportError, match="injected"):
                work.commit()
        assert _state(store) == before


def test_a_directory_that_fails_leaves_nothing(
    builder: ClassicBuilder, store: Store, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.bring(NAME, LOCAL)
    for name in ("unpack_layer", "copy_attributes"):
        _, below = builder.get_image_and_releasable_layer("app")
        before = _state(store)
        with below, monkeypatch.context() as patch:
            patch.setattr(f"cachexport.images.builder.snapshots.{name}", _fail)
            # Which of the two makes a directory is the way's matter.
            if name != "unpack_layer":
                patch.setattr("cachexport.images.builder.snapshots.copy_tree", _fail)
            with pytest.raises(CachexportError, match="injected"):
                below.new_rw_layer()
            assert _state(store) == before
        below.new_rw_layer().release()


def test_the_cases_are_all_there_are() -> None:
    assert set(PULLS) == set(itertools.product(("missing", "always", "never"), IMAGES, IMAGES))
