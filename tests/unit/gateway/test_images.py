"""Images through a gateway: of what they name all is in the store, as far as it has to be."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support import bucket
from support.images import make_image, tar_layer

from cachexport import Digest
from cachexport.images import encode_image_manifest
from cachexport.oci import mediatype
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unit.gateway.conftest import Answered, Gateway

IMAGE = make_image(tar_layer({"one": b"1"}), tar_layer({"two": b"2"}))
*LAYERS, CONFIG, MANIFEST = IMAGE.blobs
ELSEWHERE = Descriptor(
    media_type=mediatype.OCI_LAYER_GZIP,
    digest=Digest.of(b"elsewhere"),
    size=9,
    urls=("https://example.com/layer",),
)
FOREIGN = Descriptor(
    media_type=f"{mediatype.DOCKER_FOREIGN_LAYER}.gzip", digest=Digest.of(b"foreign"), size=7
)


@pytest.fixture(params=["local", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "local":
        return f"type=local,dest={tmp_path / 'store'}"
    bucket.installed(monkeypatch)
    return bucket.SPEC


def manifest_of(*layers: Descriptor) -> bytes:
    """Write a manifest of IMAGE's config and other layers."""
    _, raw = encode_image_manifest(CONFIG, IMAGE.layers, oci_mediatypes=True)
    value = json.loads(raw)
    value["layers"] = [json.loads(layer.encode()) for layer in layers]
    return json.dumps(value).encode()


def put_manifest(gateway: Gateway, raw: bytes) -> Answered:
    return gateway.ask("PUT", "/v2/images/manifests/1", raw)


def put_blobs(gateway: Gateway, *blobs: bytes) -> None:
    for raw in blobs:
        gateway.put_blob("images", raw)


def test_what_only_upstream_has_is_in_the_store_after_a_push(
    start: Callable[..., Gateway], store: str, tmp_path: Path
) -> None:
    behind = f"type=local,src={tmp_path / 'behind'},dest={tmp_path / 'behind'}"
    put_blobs(start(behind), *LAYERS)
    gateway = start(store, upstream=(behind,))
    put_blobs(gateway, CONFIG)
    [first, second] = (Digest.of(layer) for layer in LAYERS)
    mounted = gateway.ask("POST", f"/v2/images/blobs/uploads/?mount={first}&from=other")
    assert mounted.status == 201
    assert gateway.ask("HEAD", f"/v2/images/blobs/{second}").status == 200
    assert put_manifest(gateway, MANIFEST).status == 201
    alone = start(store)
    assert alone.ask("GET", "/v2/images/manifests/1").body == MANIFEST
    for raw in LAYERS:
        assert alone.ask("GET", f"/v2/images/blobs/{Digest.of(raw)}").body == raw


@pytest.mark.parametrize("layer", [ELSEWHERE, FOREIGN])
def test_what_nobody_distributes_need_not_be_there(
    start: Callable[..., Gateway], store: str, layer: Descriptor
) -> None:
    gateway = start(store)
    put_blobs(gateway, CONFIG, *LAYERS)
    raw = manifest_of(layer, *IMAGE.layers)
    assert put_manifest(gateway, raw).status == 201
    assert gateway.ask("GET", "/v2/images/manifests/1").body == raw
    plain = replace(layer, media_type=mediatype.OCI_LAYER, urls=())
    refused = put_manifest(gateway, manifest_of(plain, *IMAGE.layers))
    assert (refused.status, refused.code) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert gateway.ask("GET", "/v2/images/manifests/1").body == raw


@pytest.mark.parametrize("wrong", [-1, 1])
def test_a_blob_of_another_size_is_not_what_is_meant(
    start: Callable[..., Gateway], store: str, wrong: int
) -> None:
    gateway = start(store)
    put_blobs(gateway, CONFIG, *LAYERS)
    [first, second] = IMAGE.layers
    raw = manifest_of(first, replace(second, size=second.size + wrong))
    refused = put_manifest(gateway, raw)
    assert (refused.status, refused.code) == (400, "MANIFEST_BLOB_UNKNOWN")
    [detail] = refused.json["errors"][0]["detail"]
    assert detail == {"digest": second.digest}
    assert gateway.ask("GET", "/v2/images/manifests/1").status == 404


def index_of(gateway: Gateway, children: list[bytes]) -> bytes:
    """Give an index of manifests, which are stored as blobs."""
    named = [
        {
            "mediaType": mediatype.OCI_INDEX,
            "digest": gateway.put_blob("images", child),
            "size": len(child),
        }
        for child in children
    ]
    return json.dumps({"mediaType": mediatype.OCI_INDEX, "manifests": named}).encode()


def test_an_index_that_names_all_below_it_twice_is_read_once(gateway: Gateway) -> None:
    raw = index_of(gateway, [])
    for _ in range(50):
        raw = index_of(gateway, [raw, raw])
    assert gateway.ask("PUT", "/v2/images/manifests/1", raw).status == 201


def test_an_index_of_very_many(gateway: Gateway) -> None:
    raw = index_of(gateway, [])
    for _ in range(1001):
        raw = index_of(gateway, [raw])
    refused = gateway.ask("PUT", "/v2/images/manifests/1", raw)
    assert (refused.status, refused.code) == (400, "MANIFEST_INVALID")


def test_a_layer_is_not_read_as_a_manifest(gateway: Gateway) -> None:
    digest = gateway.put_blob("images", b"\x1f\x8b" + bytes(2_000_000))
    assert gateway.ask("GET", f"/v2/images/manifests/{digest}").code == "MANIFEST_UNKNOWN"
