"""What others do to a tag while we merge into it, and what the registry does."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from support.clock import sleep_by
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
    export_cache,
    import_cache,
)
from cachexport.errors import AlreadyExists
from cachexport.oci import mediatype

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.services.registry import Registry
    from support.services.scripted import ScriptedRegistry

TAG = r"/manifests/cache$"


@pytest.fixture
def pauses() -> list[Callable[[], None]]:
    """Give a list of what happens while somebody waits; each item happens once."""
    happening: list[Callable[[], None]] = []

    def sleep(seconds: float) -> None:
        if happening:
            happening.pop(0)()

    sleep_by(sleep)
    return happening


def build(name: str) -> CacheChains:
    chains = CacheChains()
    blob = name.encode()
    remote = Remote([Descriptor.of(blob, mediatype.OCI_LAYER)], MemoryContent([blob]))
    base = chains.add(Digest.of(b"base"))
    chains.add(Digest.of(blob), [[CacheLink(base)]], [CacheResult("2026-01-01T00:00:00Z", remote)])
    return chains


def steps(host: str, repo: str) -> set[str]:
    config, _ = import_cache(f"{host}/{repo}:cache").marshal()
    return {record.digest for record in config.records if record.results}


def named(*names: str) -> set[str]:
    return {Digest.of(name.encode()) for name in names}


def merge(host: str, repo: str, name: str, attrs: str = "merge=true") -> None:
    export_cache(build(name), f"type=registry,ref={host}/{repo}:cache,{attrs}")


def theirs(scripted: ScriptedRegistry, repo: str, name: str) -> Callable[[], None]:
    """Give what writes another cache under the tag, in no time."""
    merge(scripted.host, f"{repo}-{name}", name)
    other, mine = (scripted.store.repositories[each] for each in (f"{repo}-{name}", repo))

    def write() -> None:
        mine.blobs.update(other.blobs)
        mine.manifests.update(other.manifests)
        mine.tags["cache"] = other.tags["cache"]

    return write


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(silent=True), Fault(read=0)])
@pytest.mark.parametrize("before", [(), ("first",)])
def test_who_writes_before_we_try_again_is_merged_with(
    scripted: ScriptedRegistry,
    repo: str,
    pauses: list[Callable[[], None]],
    fault: Fault,
    before: tuple[str, ...],
) -> None:
    for name in before:
        merge(scripted.host, repo, name)
    intrude = theirs(scripted, repo, "theirs")
    scripted.on("PUT", f"{repo}{TAG}", fault)
    pauses.append(intrude)
    merge(scripted.host, repo, "ours")
    assert not pauses
    assert steps(scripted.host, repo) == named("ours", "theirs")


@pytest.mark.usefixtures("pauses")
def test_a_lost_answer_is_found_out(scripted: ScriptedRegistry, repo: str) -> None:
    merge(scripted.host, repo, "first")
    scripted.on("PUT", TAG, Fault(silent=True))
    merge(scripted.host, repo, "ours")
    assert steps(scripted.host, repo) == named("first", "ours")


def test_a_tag_that_is_deleted_meanwhile_comes_back(
    scripted: ScriptedRegistry, repo: str, pauses: list[Callable[[], None]]
) -> None:
    merge(scripted.host, repo, "first")
    repository = scripted.store.repositories[repo]
    pauses.append(repository.tags.clear)
    merge(scripted.host, repo, "ours")
    assert steps(scripted.host, repo) == named("ours")


def test_an_image_that_comes_meanwhile_is_not_replaced(
    scripted: ScriptedRegistry, repo: str, pauses: list[Callable[[], None]]
) -> None:
    merge(scripted.host, repo, "first")
    config = push_blob(scripted.url, repo, b"{}")
    described = {"mediaType": mediatype.OCI_CONFIG, "digest": config, "size": 2}
    manifest = {"schemaVersion": 2, "mediaType": mediatype.OCI_MANIFEST, "config": described}
    raw = json.dumps({**manifest, "layers": []}).encode()

    def push_image() -> None:
        push_manifest(scripted.url, repo, "cache", raw, mediatype.OCI_MANIFEST)

    pauses.append(push_image)
    with pytest.raises(AlreadyExists, match="not a cache"):
        merge(scripted.host, repo, "ours")
    repository = scripted.store.repositories[repo]
    assert repository.manifests[repository.tags["cache"]].raw == raw


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("told", [None, "", "sha256:abc", "nonsense"])
def test_digests_that_are_not_told_are_made(
    scripted: ScriptedRegistry, repo: str, told: str | None
) -> None:
    merge(scripted.host, repo, "first")
    scripted.on("HEAD", TAG, Fault(headers={"Docker-Content-Digest": told}), times=None)
    merge(scripted.host, repo, "ours")
    assert steps(scripted.host, repo) == named("first", "ours")


def test_a_form_that_is_refused_from_now_on(
    scripted: ScriptedRegistry, repo: str, pauses: list[Callable[[], None]]
) -> None:
    merge(scripted.host, repo, "first")
    intrude = theirs(scripted, repo, "theirs")
    scripted.refuse(mediatype.CACHE_CONFIG_V0)
    scripted.on("PUT", TAG, Fault(status=503), nth=2)
    pauses.append(intrude)
    merge(scripted.host, repo, "ours")
    assert steps(scripted.host, repo) == named("ours", "theirs")


def test_processes_that_merge_at_once_some_of_which_are_killed(
    registry: Registry, repo: str, tmp_path: Path
) -> None:
    names = [f"job {number}" for number in range(8)]
    for name in names:
        export_cache(build(name), f"type=local,dest={tmp_path / name}")
    target = f"type=registry,ref={registry.host}/{repo}:cache,merge=true"
    command = [sys.executable, "-m", "cachexport", "export", "--progress", "quiet"]

    def start(name: str) -> subprocess.Popen[bytes]:
        ends = ["--cache-from", f"type=local,src={tmp_path / name}", "--cache-to", target]
        return subprocess.Popen([*command, *ends], stdout=subprocess.DEVNULL)

    running = {name: start(name) for name in names}
    for name in names[:3]:
        time.sleep(random.uniform(0.1, 0.8))
        os.kill(running[name].pid, signal.SIGKILL)
    succeeded = [name for name in names if running[name].wait() == 0]
    assert set(names[3:]) <= set(succeeded)
    assert named(*succeeded) <= steps(registry.host, repo)
