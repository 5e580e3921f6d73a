"""A gateway over a bucket, where caches are kept apart from all else."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import pytest
from support import bucket, caches
from support.images import make_image, tar_layer

from cachexport import Digest, copy_cache, load_cache, prune_caches
from cachexport.images import encode_image_manifest
from cachexport.oci.mediatype import OCI_MANIFEST
from cachexport.upkeep.prune import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.bucket import Bucket
    from support.images import MadeImage
    from unit.gateway.conftest import Gateway

MAX = f"type=local,src={caches.FOLDER / 'max'}"
BUILDKITS = caches.FOLDER / "s3-bucket"
IMAGES = f"{bucket.ROOT}cachexport/images/"


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    return bucket.installed(monkeypatch)


@pytest.fixture
def gateway(stored: Bucket, start: Callable[..., Gateway]) -> Gateway:
    return start(bucket.SPEC)


def put_image(gateway: Gateway, reference: str, image: MadeImage) -> bytes:
    """Push an image, and give its manifest."""
    [*blobs, manifest] = image.blobs
    for raw in blobs:
        gateway.put_blob("images", raw)
    answer = gateway.ask("PUT", f"/v2/images/manifests/{reference}", manifest)
    assert (answer.status, answer.headers["Docker-Content-Digest"]) == (201, Digest.of(manifest))
    return manifest


def test_a_name_that_buildkit_wrote_is_served(stored: Bucket, gateway: Gateway) -> None:
    for path in BUILDKITS.rglob("*"):
        if path.is_file():
            key = str(path.relative_to(BUILDKITS))
            stored.objects.replace(key, path.read_bytes(), {}, version=None)
    # Of what is asked for first, neither manifest nor config is stored.
    wanted = caches.raw_manifest("max")
    assert bucket.KEYS.blob(Digest.of(wanted)) not in stored.objects.objects
    found = gateway.ask("GET", "/v2/cache/manifests/main")
    assert (found.body, found.headers["Content-Type"]) == (wanted, OCI_MANIFEST)
    assert gateway.ask("GET", f"/v2/cache/manifests/{Digest.of(wanted)}").body == wanted
    [cache] = load_cache(f"type=registry,ref={gateway.host}/cache:main")
    assert cache.config == load_cache(MAX)[0].config
    for blob in (cache.wrapped.config_descriptor, *cache.layers):  # type: ignore[union-attr]
        raw = gateway.ask("GET", f"/v2/cache/blobs/{blob.digest}").body
        assert Digest.of(raw) == blob.digest


def test_a_cache_takes_the_tag_of_an_image(stored: Bucket, gateway: Gateway) -> None:
    older = put_image(gateway, "1", make_image(tar_layer({"a": b"older"})))
    assert gateway.ask("GET", "/v2/images/manifests/1").body == older
    newer = put_image(gateway, "1", make_image(tar_layer({"a": b"newer"})))
    for reference in ("1", Digest.of(newer)):
        assert gateway.ask("GET", f"/v2/images/manifests/{reference}").body == newer
    assert list(stored.objects.objects).count(f"{IMAGES}images/1") == 1
    copy_cache([MAX], [f"type=registry,ref={gateway.host}/images:1,force=true"])
    assert gateway.ask("GET", "/v2/images/manifests/1").body == caches.raw_manifest("max")
    assert f"{IMAGES}images/1" not in stored.objects.objects
    newest = put_image(gateway, "1", make_image(tar_layer({"a": b"newest"})))
    assert gateway.ask("GET", "/v2/images/manifests/1").body == newest


NO_INLINE_CACHES = [
    b"no JSON",
    b'{"rootfs":1}',
    b'{"rootfs":{"diff_ids":["x"]},"moby.buildkit.cache.v0":"?"}',
]


@pytest.mark.parametrize("config", NO_INLINE_CACHES)
def test_trouble_with_an_inline_cache_is_none_of_the_image(
    gateway: Gateway, caplog: pytest.LogCaptureFixture, config: bytes
) -> None:
    image = make_image(tar_layer({"a": b"a"}))
    layer = image.blobs[0]
    _, raw = encode_image_manifest(config, image.layers, oci_mediatypes=True)
    for blob in (layer, config):
        gateway.put_blob("images", blob)
    assert gateway.ask("PUT", "/v2/images/manifests/1", raw).status == 201
    assert gateway.ask("GET", "/v2/images/manifests/1").body == raw
    assert "the inline cache of images/1 did not become a cache" in caplog.text


def test_ten_thousand_tags(stored: Bucket, gateway: Gateway) -> None:
    for number in range(10_000):
        stored.objects.replace(f"{bucket.KEYS.names}team/app/t{number:05}", b"{}", {}, version=None)
    tags = [f"t{number:05}" for number in range(10_000)]
    assert gateway.ask("GET", "/v2/team/app/tags/list").json["tags"] == tags
    found: list[str] = []
    path = "/v2/team/app/tags/list?n=3000"
    while path:
        answer = gateway.ask("GET", path)
        found += answer.json["tags"]
        path = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert found == tags


@pytest.mark.parametrize(
    ("query", "wanted", "following"),
    [
        ("", ["a", "b", "c"], None),
        ("?n=2", ["a", "b"], "n=2&last=b"),
        ("?n=2&last=b", ["c"], None),
        ("?n=3", ["a", "b", "c"], None),
        ("?n=1&last=bb", ["c"], None),
        ("?n=2&last=c", [], None),
        ("?last=a", ["b", "c"], None),
        ("?n=0", [], None),
    ],
)
def test_a_page_of_tags(
    stored: Bucket, gateway: Gateway, query: str, wanted: list[str], following: str | None
) -> None:
    # Images have a folder of their own, and are tags as caches are.
    put_image(gateway, "b", make_image(tar_layer({"a": b"a"})))
    for tag in ("c", "a"):
        stored.objects.replace(f"{bucket.KEYS.names}images/{tag}", b"{}", {}, version=None)
    answer = gateway.ask("GET", f"/v2/images/tags/list{query}")
    assert answer.json == {"name": "images", "tags": wanted}
    link = following and f'</v2/images/tags/list?{following}>; rel="next"'
    assert answer.headers.get("Link") == link


def test_a_prune_lets_a_place_below_be(stored: Bucket, gateway: Gateway) -> None:
    put_image(gateway, "1", make_image(tar_layer({"a": b"a"})))
    for key, (raw, _) in list(stored.objects.objects.items()):
        stored.objects.delete(key)
        moved = key.replace(bucket.ROOT, f"{bucket.ROOT}sub/", 1)
        stored.objects.replace(moved, raw, {}, version=None)
    below = set(stored.objects.objects)
    copy_cache([MAX], [bucket.SPEC])
    stored.objects.time += 100 * 3600
    [done] = prune_caches([bucket.SPEC], Plan(dry_run=False))
    assert [name.name for name in done.names] == ["buildkit"]
    assert below <= stored.objects.objects.keys()


def test_the_disk_of_the_spool_is_full(
    gateway: Gateway, stored: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**kwargs: Any) -> Any:
        return open("/dev/full", "r+b", buffering=0)

    place = gateway.ask("POST", "/v2/team/app/blobs/uploads/").headers["Location"]
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "TemporaryFile", full)
        refused = gateway.ask("PATCH", place, b"a part")
    assert (refused.status, refused.code) == (507, "UNAVAILABLE")
    assert not stored.objects.objects
    assert gateway.put_blob("team/app", b"goes right there") in "".join(stored.objects.objects)
