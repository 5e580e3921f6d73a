"""Manifests, tags and names through a gateway."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support import caches

from cachexport import Digest, copy_cache, load_cache, merge_cache
from cachexport.errors import Conflict
from cachexport.gateway.http.access import Access
from cachexport.model.envelope.manifest import (
    Form,
)
from cachexport.oci.mediatype import DOCKER_MANIFEST, OCI_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unit.gateway.conftest import Gateway

MAX = f"type=local,src={caches.FOLDER / 'max'}"


def push(gateway: Gateway, ref: str, name: str = "max") -> None:
    source = f"type=local,src={caches.FOLDER / name}"
    copy_cache([source], [f"type=registry,ref={gateway.host}/{ref},force=true"])


def image_manifest(gateway: Gateway, layer: bytes = b"a layer") -> bytes:
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {}}).encode()
    digests = [gateway.put_blob("images", raw) for raw in (config, layer)]
    kinds = ["application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar"]
    first, last = (
        {"mediaType": kind, "digest": digest, "size": len(raw)}
        for kind, digest, raw in zip(kinds, digests, (config, layer), strict=True)
    )
    manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": first, "layers": [last]}
    return json.dumps(manifest).encode()


def test_a_cache_keeps_its_bytes(gateway: Gateway, tmp_path: Path) -> None:
    push(gateway, "team/app:main")
    raw = caches.raw_manifest("max")
    for reference in ("main", Digest.of(raw)):
        for method in ("GET", "HEAD"):
            found = gateway.ask(method, f"/v2/team/app/manifests/{reference}")
            assert found.status == 200
            assert found.headers["Docker-Content-Digest"] == Digest.of(raw)
            assert found.headers["Content-Type"] == OCI_MANIFEST
            assert found.headers["Content-Length"] == str(len(raw))
            assert found.body == (raw if method == "GET" else b"")
    [cache] = load_cache(f"type=local,src={tmp_path / 'store'},tag=team/app/main")
    assert cache.config == load_cache(MAX)[0].config


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("name", ["max", "max-oci-index", "max-docker-list"])
def test_a_cache_is_served_in_the_form_that_is_wanted(
    start: Callable[..., Gateway], form: Form, name: str
) -> None:
    gateway = start(forms=(f"team/*:main={form}",))
    push(gateway, "team/app:main", name)
    found = gateway.ask("GET", "/v2/team/app/manifests/main")
    assert found.headers["Content-Type"] == form.media_type
    digest = Digest.of(found.body)
    assert gateway.ask("GET", f"/v2/team/app/manifests/{digest}").body == found.body
    [cache] = load_cache(f"type=registry,ref={gateway.host}/team/app:main")
    assert cache.config == load_cache(MAX)[0].config
    push(gateway, "team/app:other", name)
    other = gateway.ask("GET", "/v2/team/app/manifests/other")
    assert other.body == caches.raw_manifest(name)


def test_a_push_is_merged(start: Callable[..., Gateway], tmp_path: Path) -> None:
    gateway = start(merge=True)
    for name in ("multi-amd64", "multi-arm64"):
        push(gateway, "team/app:main", name)
        pushed = Digest.of(caches.raw_manifest(name))
        assert gateway.ask("GET", f"/v2/team/app/manifests/{pushed}").status == 200
    both = [f"type=local,src={caches.FOLDER / f'multi-{arch}'}" for arch in ("amd64", "arm64")]
    merge_cache(both, [f"type=local,dest={tmp_path / 'both'}"])
    [wanted] = load_cache(f"type=local,src={tmp_path / 'both'}")
    [found] = load_cache(f"type=registry,ref={gateway.host}/team/app:main")
    assert found.config == wanted.config
    served = gateway.ask("HEAD", "/v2/team/app/manifests/main").headers["Docker-Content-Digest"]
    gateway.stop()
    told = [record.digest for record in gateway.told if record.method == "PUT"]
    assert told[-1] == served


def test_a_large_cache_is_compacted(start: Callable[..., Gateway]) -> None:
    gateway = start(config=2500)
    push(gateway, "team/app:main")
    [cache] = load_cache(f"type=registry,ref={gateway.host}/team/app:main")
    assert 0 < len(cache.config.encode()) <= 2500


def test_an_image_is_served_as_it_is(gateway: Gateway) -> None:
    raw = image_manifest(gateway)
    answer = gateway.ask("PUT", "/v2/images/manifests/1", raw)
    assert (answer.status, answer.headers["Docker-Content-Digest"]) == (201, Digest.of(raw))
    for reference in ("1", Digest.of(raw)):
        assert gateway.ask("GET", f"/v2/images/manifests/{reference}").body == raw
    newer = image_manifest(gateway, b"a newer layer")
    assert gateway.ask("PUT", "/v2/images/manifests/1", newer).status == 201
    assert gateway.ask("GET", "/v2/images/manifests/1").body == newer
    push(gateway, "images:1")
    assert gateway.ask("GET", "/v2/images/manifests/1").body == caches.raw_manifest("max")


def test_what_is_incomplete_gets_no_name(gateway: Gateway) -> None:
    raw = caches.raw_manifest("max")
    refused = gateway.ask("PUT", "/v2/team/app/manifests/main", raw)
    assert (refused.status, refused.code) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert len(refused.json["errors"][0]["detail"]) > 1
    assert gateway.ask("GET", "/v2/team/app/manifests/main").code == "MANIFEST_UNKNOWN"
    assert gateway.ask("GET", "/v2/team/app/tags/list").code == "NAME_UNKNOWN"


NO_MANIFESTS = (
    *(b"", b"{", b"[]", b"{}", b'{"schemaVersion":1}', b'{"mediaType":"application/x"}'),
    *(b'{"manifests":[],"layers":[]}', b'{"layers":1}', b'{"layers":[]}', b'{"config":{}}'),
    b'{"mediaType":"application/x","manifests":[]}',
)


def test_no_manifest(gateway: Gateway) -> None:
    for raw in NO_MANIFESTS:
        refused = gateway.ask("PUT", "/v2/team/app/manifests/main", raw)
        assert (refused.status, refused.code) == (400, "MANIFEST_INVALID")
        digest = gateway.put_blob("team/app", raw)
        assert gateway.ask("GET", f"/v2/team/app/manifests/{digest}").code == "MANIFEST_UNKNOWN"


@pytest.mark.parametrize("header", ["", OCI_MANIFEST])
def test_a_manifest_that_leaves_its_type_out(gateway: Gateway, header: str) -> None:
    whole = json.loads(image_manifest(gateway))
    del whole["mediaType"]
    raw = json.dumps(whole).encode()
    put = gateway.ask("PUT", "/v2/images/manifests/1", raw, Content_Type=header)
    assert put.status == 201
    for item in ("1", Digest.of(raw)):
        found = gateway.ask("GET", f"/v2/images/manifests/{item}")
        assert (found.body, found.headers["Content-Type"]) == (raw, OCI_MANIFEST)


def test_a_header_that_says_something_else(gateway: Gateway) -> None:
    raw = image_manifest(gateway)
    place = "/v2/images/manifests/1"
    refused = gateway.ask("PUT", place, raw, Content_Type=DOCKER_MANIFEST)
    assert (refused.status, refused.code) == (400, "MANIFEST_INVALID")
    typed = f"{OCI_MANIFEST}; charset=utf-8"
    assert gateway.ask("PUT", place, raw, Content_Type=typed).status == 201


def test_a_manifest_with_another_digest(gateway: Gateway) -> None:
    raw = image_manifest(gateway)
    other = Digest.of(b"other")
    assert gateway.ask("PUT", f"/v2/images/manifests/{other}", raw).code == "DIGEST_INVALID"


def test_an_index_of_what_leads_on_to_nothing_known(gateway: Gateway) -> None:
    digest = gateway.put_blob("images", b"?")
    child = {"mediaType": "text/plain", "digest": digest, "size": 1}
    raw = json.dumps({"schemaVersion": 2, "manifests": [child]}).encode()
    assert gateway.ask("PUT", "/v2/images/manifests/1", raw).code == "MANIFEST_INVALID"


def test_all_that_an_index_leads_to_has_to_be_there(gateway: Gateway) -> None:
    gone = image_manifest(gateway).replace(Digest.of(b"a layer").encode(), Digest.of(b"?").encode())
    for child, code in ((gone, "MANIFEST_BLOB_UNKNOWN"), (b"hi", "MANIFEST_INVALID")):
        # As a blob anything may come; that does not make it a manifest which is whole.
        digest = gateway.put_blob("images", child)
        desc = {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(child)}
        raw = json.dumps({"schemaVersion": 2, "manifests": [desc]}).encode()
        refused = gateway.ask("PUT", "/v2/images/manifests/1", raw)
        assert (refused.status, refused.code) == (400, code)
    assert gateway.ask("GET", "/v2/images/manifests/1").code == "MANIFEST_UNKNOWN"


def test_nothing_is_pruned_between_a_look_and_the_naming(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = image_manifest(gateway)
    kind = type(gateway.shelf.place)
    assign, said = kind.assign, []

    def pruning(self: Any, *args: Any) -> None:
        self.timeout = 0.0
        with pytest.raises(Conflict), self.alone():
            said.append("pruned")
        assign(self, *args)

    monkeypatch.setattr(kind, "assign", pruning)
    assert gateway.ask("PUT", "/v2/images/manifests/1", raw).status == 201
    assert said == []


def test_a_manifest_that_is_too_large(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cachexport.gateway.http.manifests.MANIFEST_LIMIT", 1000)
    refused = gateway.ask("PUT", "/v2/images/manifests/1", b" " * 1001)
    assert (refused.status, refused.code) == (413, "SIZE_INVALID")


def test_ten_thousand_tags_in_pages(gateway: Gateway, tmp_path: Path) -> None:
    push(gateway, "team/app:main")
    index = tmp_path / "store" / "index.json"
    value = json.loads(index.read_text())
    [entry] = value["manifests"]
    tags = [f"t{number:05}" for number in range(10_000)]
    value["manifests"] = [
        {**entry, "annotations": {"org.opencontainers.image.ref.name": f"team/app/{tag}"}}
        for tag in tags
    ]
    index.write_text(json.dumps(value))
    found: list[str] = []
    path = "/v2/team/app/tags/list?n=4000"
    while path:
        answer = gateway.ask("GET", path)
        found += answer.json["tags"]
        path = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
    assert found == tags
    assert gateway.ask("GET", "/v2/team/app/tags/list").json["tags"] == tags
    assert gateway.ask("GET", "/v2/team/app/tags/list?n=x").status == 400


def test_names_and_references(start: Callable[..., Gateway], tmp_path: Path) -> None:
    store = tmp_path / "store"
    for name in ("main", "team/app/x", "cache/odd", "No Reference", "UPPER/x"):
        copy_cache([MAX], [f'type=local,dest={store},"tag={name}"'])
    gateway = start()
    assert gateway.ask("GET", "/v2/cache/tags/list").json["tags"] == ["main"]
    assert gateway.ask("GET", "/v2/team/app/tags/list").json["tags"] == ["x"]
    assert gateway.ask("GET", "/v2/cache/manifests/main").status == 200
    assert gateway.ask("GET", "/v2/cache/manifests/odd").status == 404
    assert gateway.shelf.unserved() == ["No Reference", "UPPER/x", "cache/odd"]


NO_REPOSITORY = ["..", "a/../b", "a//b", "%2e%2e", "a%2Fb", "A", "a/%2e%2e/b", "x" * 300]
NO_TAG = ["..", "%2e%2e", "a%2Fb", "x" * 129, "-a", "a%00b", "%F0%9F%90%B3"]


def test_no_repository(gateway: Gateway, tmp_path: Path) -> None:
    for repository in (*NO_REPOSITORY, "a/", ".a", "a\\b"):
        for path in ("manifests/x", "blobs/uploads/", "tags/list"):
            for method in ("GET", "POST", "PUT"):
                answer = gateway.ask(method, f"/v2/{repository}/{path}")
                assert answer.status in (400, 404, 405)
                assert answer.code in ("NAME_INVALID", "NAME_UNKNOWN", "UNSUPPORTED")
    assert [path.name for path in tmp_path.iterdir()] == ["spool"]


def test_no_tag(gateway: Gateway) -> None:
    raw = image_manifest(gateway)
    for tag in NO_TAG:
        for body in (None, raw):
            answer = gateway.ask("PUT" if body else "GET", f"/v2/images/manifests/{tag}", body)
            assert (answer.status, answer.code) == (400, "NAME_INVALID")


def test_names_are_taken_away(start: Callable[..., Gateway]) -> None:
    gateway = start(access=Access(may_delete=True))
    push(gateway, "team/app:one")
    push(gateway, "team/app:two")
    push(gateway, "team/app:other", "multi-amd64")
    assert gateway.ask("DELETE", "/v2/team/app/manifests/one").status == 202
    assert gateway.ask("GET", "/v2/team/app/tags/list").json["tags"] == ["other", "two"]
    digest = Digest.of(caches.raw_manifest("max"))
    assert gateway.ask("DELETE", f"/v2/team/app/manifests/{digest}").status == 202
    assert gateway.ask("GET", "/v2/team/app/tags/list").json["tags"] == ["other"]
    assert gateway.ask("DELETE", f"/v2/team/app/manifests/{digest}").code == "MANIFEST_UNKNOWN"
    assert gateway.ask("DELETE", "/v2/team/app/manifests/one").code == "MANIFEST_UNKNOWN"
