"""Merging into a tag that others write too, and what is taken for there without a look."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from support.clock import wait_for_nothing
from support.services.push import push_blob, push_manifest
from support.services.scripted.faults import Fault

from cachexport import (
    CacheChains,
    CacheLink,
    CacheResult,
    Descriptor,
    Digest,
    MemoryContent,
    Remote,
    copy_cache,
    export_cache,
    import_cache,
)
from cachexport.errors import AlreadyExists
from cachexport.oci import mediatype

if TYPE_CHECKING:
    from support.services.messages import Request
    from support.services.registry import Registry
    from support.services.scripted import ScriptedRegistry

FORMS = ["image-manifest=true", "image-manifest=false", "oci-mediatypes=false"]
TAG = r"/manifests/cache$"
BLOB = r"/blobs/sha256:"


@pytest.fixture
def _hasty() -> None:
    wait_for_nothing()


def build(name: str, layers: int = 1) -> CacheChains:
    """Give what a build left: a base that all share, and steps with a layer each."""
    chains = CacheChains()
    record = chains.add(Digest.of(b"base"))
    remote = None
    for number in range(layers):
        blob = f"{name} {number}".encode()
        desc, content = Descriptor.of(blob, mediatype.OCI_LAYER), MemoryContent([blob])
        remote = remote.stack(desc, content) if remote else Remote([desc], content)
        result = CacheResult(f"2026-01-01T00:00:{number:02d}Z", remote)
        record = chains.add(Digest.of(blob), [[CacheLink(record)]], [result])
    return chains


def steps(source: str) -> set[str]:
    config, _ = import_cache(source).marshal()
    return {record.digest for record in config.records if record.results}


def named(*names: str) -> set[str]:
    return {Digest.of(f"{name} 0".encode()) for name in names}


def ref(server: Registry | ScriptedRegistry, repo: str) -> str:
    return f"{server.host}/{repo}:cache"


def write(
    server: Registry | ScriptedRegistry, repo: str, chains: CacheChains, attrs: str = ""
) -> dict[str, str]:
    spec = f"type=registry,ref={ref(server, repo)}" + (attrs and f",{attrs}")
    return export_cache(chains, spec)


@pytest.mark.parametrize("form", FORMS)
def test_all_who_merge_at_once_are_in_it(registry: Registry, repo: str, form: str) -> None:
    names = [f"job {number}" for number in range(8)]

    def job(name: str) -> None:
        write(registry, repo, build(name), f"merge=true,{form}")

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(job, names))
    assert steps(ref(registry, repo)) == named(*names)


@pytest.mark.usefixtures("_hasty")
@pytest.mark.parametrize("moment", ["before", "after"])
def test_who_comes_between_is_merged_with(
    scripted: ScriptedRegistry, repo: str, moment: str
) -> None:
    """Another writer is faster: before we look, or after we wrote."""
    for name in ("ours", "theirs"):
        write(scripted, f"{repo}-{name}", build(name))
    theirs = scripted.store.repositories[f"{repo}-theirs"]
    mine = scripted.store.repositories[repo]

    def intrude(request: Request) -> bool:
        written = any(r.method == "PUT" for r in scripted.asked(path=TAG) if repo in r.path)
        if f"/{repo}/" in request.path and written == (moment == "after") and not done:
            mine.blobs.update(theirs.blobs)
            mine.manifests.update(theirs.manifests)
            mine.tags["cache"] = theirs.tags["cache"]
            done.append(request)
        return False

    done: list[Request] = []
    scripted.requests.clear()
    scripted.on("HEAD", TAG, Fault(), nth=1, when=intrude)
    write(scripted, repo, build("ours"), "merge=true")
    assert done
    assert steps(ref(scripted, repo)) == named("ours", "theirs")


@pytest.mark.usefixtures("_hasty")
def test_an_image_is_not_merged_into(scripted: ScriptedRegistry, repo: str) -> None:
    config = push_blob(scripted.url, repo, b"{}")
    described = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": config,
        "size": 2,
    }
    image = {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_MANIFEST,
        "config": described,
        "layers": [],
    }
    push_manifest(scripted.url, repo, "cache", json.dumps(image).encode(), mediatype.OCI_MANIFEST)
    with pytest.raises(AlreadyExists, match="force=true"):
        write(scripted, repo, build("a"), "merge=true")
    write(scripted, repo, build("a"), "merge=true,force=true")
    assert steps(ref(scripted, repo)) == named("a")


def test_nothing_is_put_when_nothing_is_new(scripted: ScriptedRegistry, repo: str) -> None:
    for name in ("a", "b"):
        answer = write(scripted, repo, build(name), "merge=true")
    scripted.requests.clear()
    assert write(scripted, repo, build("a"), "merge=true") == answer
    assert {request.method for request in scripted.requests} == {"HEAD", "GET"}


@pytest.mark.parametrize("form", FORMS)
def test_an_unchanged_cache_costs_three_requests(
    scripted: ScriptedRegistry, repo: str, form: str
) -> None:
    write(scripted, repo, build("a", 50), form)
    scripted.requests.clear()
    write(scripted, repo, build("a", 50), form)
    asked = [(request.method, bool(re.search(TAG, request.path))) for request in scripted.requests]
    assert asked[0] == ("HEAD", True)
    assert sorted(asked[1:]) == [("PUT", False), ("PUT", True)]


@pytest.mark.parametrize("form", FORMS)
def test_a_real_registry_refuses_what_it_lacks(
    registry: Registry, repo: str, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = write(registry, repo, build("a", 3), form)
    assert write(registry, repo, build("a", 3), f"{form},trust-existing=true") == answer
    write(registry, repo, build("a", 5), f"{form},trust-existing=true")
    assert "trust-existing is ignored" not in caplog.text
    assert len(steps(ref(registry, repo))) == 5


@pytest.mark.parametrize("trust", ["", "trust-existing=true", "merge=true"])
@pytest.mark.parametrize("layers", [6, 7])
@pytest.mark.parametrize("honest", [True, False])
def test_lost_blobs_come_back(
    scripted: ScriptedRegistry, repo: str, trust: str, layers: int, honest: bool
) -> None:
    if trust == "trust-existing=true" and honest and layers == 6:
        return  # a registry that took this very manifest is trusted to have its blobs
    scripted.distribution.checks_blobs = honest
    write(scripted, repo, build("a", 6))
    repository = scripted.store.repositories[repo]
    manifests = set(repository.manifests)
    for blob in list(repository.blobs)[1::2]:
        del repository.blobs[blob]
    if trust == "merge=true" and layers == 6:
        trust += ",image-manifest=false"  # else the config that names them would be gone too
    config = Digest.of(build("a", 6).marshal()[0].encode())
    repository.blobs[config] = build("a", 6).marshal()[0].encode()
    write(scripted, repo, build("a", layers), trust)
    named_now = repository.manifests[repository.tags["cache"]].mentioned()
    assert set(named_now) <= set(repository.blobs)
    assert len(steps(ref(scripted, repo))) == layers
    # The lie that an accommodating registry took is gone again.
    assert set(repository.manifests) <= manifests | {repository.tags["cache"]}


def test_trusted_blobs_are_not_asked_for(scripted: ScriptedRegistry, repo: str) -> None:
    write(scripted, repo, build("a", 30))
    scripted.requests.clear()
    write(scripted, repo, build("a", 31), "trust-existing=true")
    assert len(scripted.asked("HEAD", BLOB)) == 2  # the new layer and the new config
    assert len(steps(ref(scripted, repo))) == 31


def test_trust_that_is_not_earned_is_said(
    scripted: ScriptedRegistry, repo: str, caplog: pytest.LogCaptureFixture
) -> None:
    scripted.distribution.checks_blobs = False
    write(scripted, repo, build("a", 3))
    scripted.requests.clear()
    write(scripted, repo, build("a", 4), "trust-existing=true")
    assert len(scripted.asked("HEAD", BLOB)) == 5
    assert "trust-existing is ignored" in caplog.text


def test_a_cache_moves_between_repositories_without_its_bytes(
    scripted: ScriptedRegistry, repo: str
) -> None:
    write(scripted, repo, build("a", 20))
    scripted.requests.clear()
    target = f"{scripted.host}/{repo}-copy:cache"
    copy_cache([ref(scripted, repo)], [target])
    assert steps(target) == steps(ref(scripted, repo))
    assert len(scripted.asked("PUT", r"/blobs/uploads/")) == 1  # the config
    assert not [r for r in scripted.asked("GET", BLOB) if r.path.endswith(Digest.of(b"a 0"))]


def test_a_registry_that_mounts_nothing_gets_the_bytes(
    scripted: ScriptedRegistry, repo: str
) -> None:
    write(scripted, repo, build("a", 20))
    scripted.distribution.mounts = False
    target = f"{scripted.host}/{repo}-copy:cache"
    copy_cache([ref(scripted, repo)], [target])
    assert steps(target) == steps(ref(scripted, repo))
    assert not scripted.store.uploads
