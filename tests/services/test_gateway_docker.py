"""Docker and skopeo, to whom a gateway over a bucket is a registry like any other."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest
from services.test_docker import INLINE, OTHER_DOCKERFILE
from services.test_skopeo import skopeo_copy
from support import caches
from support.services.gateway import running_gateway

from cachexport import Digest, copy_cache, load_cache, prune_caches
from cachexport.upkeep.prune import Plan
from cachexport.upkeep.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.services.dockerd import Dockerd
    from support.services.gateway import Served

FORMS = ["oci-index", "docker-list"]


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, places: Callable[[str], Callable[[str], str]]) -> str:
    """Give a directory, or a part of a bucket."""
    return places(str(request.param))("it")


@pytest.fixture
def bucket_place(places: Callable[[str], Callable[[str], str]]) -> Callable[[str], str]:
    return places("s3")


@pytest.fixture
def gateway(tmp_path: Path, bucket_place: Callable[[str], str]) -> Iterator[Served]:
    """Give a gateway over a part of a bucket, for Docker 20.10."""
    args = ("--store", bucket_place("it"), "--form", "oci-index", "--merge")
    with running_gateway(tmp_path / "gateway", *args) as running:
        yield running


def test_an_image_with_an_inline_cache_becomes_a_name_of_the_bucket(
    gateway: Served,
    dockerd: Dockerd,
    context: Callable[[str], Path],
    bucket_place: Callable[[str], str],
) -> None:
    one, ref = context("one"), f"{gateway.host}/team/app:cache"
    assert not dockerd.build(one, ref, *INLINE).cached
    dockerd.push(ref)
    [cache] = load_cache(bucket_place("team/app/cache"))
    assert cache.config.records
    dockerd.prune_all()
    log = dockerd.build(one, "again", "--cache-from", ref)
    assert log.executed == []
    assert log.cached
    dockerd.prune_all()
    dockerd.pull(ref)


@pytest.mark.parametrize("form", FORMS)
def test_a_build_is_cached_from_a_name_of_the_bucket(
    dockerd: Dockerd,
    tmp_path: Path,
    context: Callable[[str], Path],
    bucket_place: Callable[[str], str],
    form: str,
) -> None:
    one = context("one")
    args = ("--store", bucket_place("it"), "--form", "image-manifest", "--form", f"team/*={form}")
    with running_gateway(tmp_path / "gateway", *args) as gateway:
        image = f"{gateway.host}/images/app:1"
        dockerd.build(one, image, *INLINE)
        dockerd.push(image)
        copy_cache([bucket_place("images/app/1")], [bucket_place("team/app/main")])
        dockerd.prune_all()
        cache = f"{gateway.host}/team/app:main"
        log = dockerd.build(one, "again", "--cache-from", cache)
        assert log.executed == []
        assert log.cached


def test_two_builds_pushed_at_once_are_both_in_one_ref(
    gateway: Served,
    dockerd: Dockerd,
    other_dockerd: Dockerd,
    context: Callable[[str], Path],
    bucket_place: Callable[[str], str],
) -> None:
    ref = f"{gateway.host}/team/app:cache"
    one, two = context("one"), context("two")
    (two / "Dockerfile").write_text(OTHER_DOCKERFILE)
    dockerd.build(one, ref, *INLINE)
    other_dockerd.build(two, ref, *INLINE)
    others = threading.Thread(target=other_dockerd.push, args=(ref,))
    others.start()
    dockerd.push(ref)
    others.join()
    copy_cache([bucket_place("team/app/cache")], [bucket_place("team/app/merged")])
    for folder in (one, two):
        dockerd.prune_all()
        merged = f"{gateway.host}/team/app:merged"
        log = dockerd.build(folder, "again", "--cache-from", merged)
        assert log.executed == []
        assert log.cached


@pytest.mark.parametrize("name", ["max", "max-uncompressed", "copy-link"])
def test_skopeo_copies_a_cache_to_a_gateway_and_from_it(
    store: str, tmp_path: Path, name: str
) -> None:
    with running_gateway(tmp_path / "gateway", "--store", store) as gateway:
        ours, copied = f"{gateway.host}/team/ours:1", f"{gateway.host}/theirs:1"
        copy_cache([f"type=local,src={caches.FOLDER / name}"], [ours])
        skopeo_copy(ours, copied, tmp_path)
        copy_cache([copied], [f"type=local,dest={tmp_path / 'back'}"])
    assert caches.files(tmp_path / "back") == caches.files(caches.FOLDER / name)


def test_what_images_need_outlives_pruning(
    store: str, tmp_path: Path, dockerd: Dockerd, context: Callable[[str], Path]
) -> None:
    with running_gateway(tmp_path / "gateway", "--store", store) as gateway:
        ref = f"{gateway.host}/team/app:1"
        dockerd.build(context("one"), ref)
        dockerd.push(ref)
        stray = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
        digest = Digest.of(stray)
        assert gateway.ask("PUT", f"/v2/a/manifests/{digest}", stray).status == 201
        plan = Plan(retention=Retention(), grace=0.0, dry_run=False)
        attrs = ",touch_refresh=0s" if store.startswith("type=s3") else ""
        while gateway.ask("GET", f"/v2/a/manifests/{digest}").status != 404:
            # A bucket's clock counts in seconds: what was written in this one is not old yet.
            prune_caches([store + attrs], plan)
        dockerd.prune_all()
        dockerd.pull(ref)
