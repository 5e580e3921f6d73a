"""Places as a whole, the same for a directory, a registry and a bucket."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from support import caches
from support.services.exports import hasten
from support.services.push import push_blob, push_manifest
from support.services.registry import running_registry

from cachexport import (
    Descriptor,
    Digest,
    copy_names,
    export_cache,
    list_names,
    prune_caches,
    remove_names,
    tag_cache,
    verify_cache,
)
from cachexport.contract.opening import open_place
from cachexport.errors import FailedPrecondition, NotFound
from cachexport.oci import mediatype
from cachexport.testing.samples import small_chains
from cachexport.upkeep.prune import Plan
from cachexport.upkeep.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.services.registry import Registry

    Spec = Callable[[str], str]
    Places = Callable[[str], Spec]

MAX = f"type=local,src={caches.FOLDER / 'max'}"
HOUR = 3600.0


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hasten(monkeypatch, tmp_path)


def put(spec: str, *numbers: int, seconds: int = 0) -> None:
    assert export_cache(small_chains(*numbers, seconds=seconds), spec)


def plan(grace: float = 24 * HOUR, **rules: object) -> Plan:
    return Plan(retention=Retention(**rules), grace=grace, dry_run=False)  # type: ignore[arg-type]


def test_a_place_that_is_not_there(spec: Spec, kind: str) -> None:
    if kind == "s3":
        assert list_names(spec("x")) == []  # a prefix is nothing that can be missing
    else:
        with pytest.raises(NotFound):
            list_names(spec("x"))


def test_a_registry_keeps_a_tag_that_shares_its_manifest(registry: Registry, repo: str) -> None:
    ref = f"{registry.host}/{repo}"
    put(f"{ref}:main", 1, 2)
    tag_cache(f"{ref}:main", "v1")
    with pytest.raises(FailedPrecondition, match=r"v1 cannot be removed without main"):
        remove_names(f"{ref}:v1")
    [told] = prune_caches([ref], plan(max_bytes=0, keep_names=("main",)))
    [stays] = [item for item in told.names if item.name == "v1"]
    assert (stays.stays, "without main" in stays.reason) == (True, True)
    assert remove_names(f"{ref}:[mv]*") == ["main", "v1"]
    assert registry.tags(repo) == []


def test_a_registry_keeps_what_an_index_leads_to(registry: Registry, repo: str) -> None:
    ref = f"{registry.host}/{repo}"
    put(f"{ref}:old", 1)
    put(f"{ref}:new", 2, seconds=100)
    raw = registry.manifest(repo, "old").raw
    desc = Descriptor.of(raw, mediatype.OCI_MANIFEST)
    head = f'{{"schemaVersion":2,"mediaType":"{mediatype.OCI_INDEX}","manifests":['
    inner = f"{head}{desc.encode()}]}}".encode()
    outer = f"{head}{Descriptor.of(inner, mediatype.OCI_INDEX).encode()}]}}".encode()
    push_manifest(registry.url, repo, Digest.of(inner), inner, mediatype.OCI_INDEX)
    push_manifest(registry.url, repo, "all", outer, mediatype.OCI_INDEX)
    [told] = prune_caches([ref], plan(keep_last=1))
    [old] = [item for item in told.names if item.name == "old"]
    assert (old.stays, "without all" in old.reason) == (True, True)
    assert verify_cache(f"{ref}:old")[0].faults == ()


def test_a_tag_that_moved_to_what_goes_stays(registry: Registry, repo: str) -> None:
    ref = f"{registry.host}/{repo}"
    put(f"{ref}:one", 1)
    put(f"{ref}:two", 2)
    with closing(open_place(ref)) as place:
        entries = place.entries()
        tag_cache(f"{ref}:one", "two")
        refused = place.withdraw(entries)
    assert sorted(refused) == ["one", "two"]
    assert registry.tags(repo) == ["one", "two"]


def test_what_is_no_cache_is_left_alone(registry: Registry, repo: str) -> None:
    ref = f"{registry.host}/{repo}"
    put(f"{ref}:old", 1)
    put(f"{ref}:new", 2, seconds=100)
    config, layer = b"{}", b"layer"
    raw = (
        f'{{"schemaVersion":2,"mediaType":"{mediatype.OCI_MANIFEST}","config":'
        f"{Descriptor.of(config, mediatype.OCI_CONFIG).encode()},"
        f'"layers":[{Descriptor.of(layer, mediatype.OCI_LAYER).encode()}]}}'
    )
    for blob in (config, layer):
        push_blob(registry.url, repo, blob)
    push_manifest(registry.url, repo, "app", raw.encode(), mediatype.OCI_MANIFEST)
    [told] = prune_caches([ref], plan(keep_last=1))
    assert {item.name: (item.stays, item.reason) for item in told.names}["app"] == (
        True,
        "an image",
    )
    assert registry.tags(repo) == ["app", "new"]
    with pytest.raises(FailedPrecondition, match="no cache"):
        remove_names(f"{ref}:app")
    assert remove_names(f"{ref}:app", force=True) == ["app"]


def test_what_a_registry_does_not_delete_is_a_failure(tmp_path: Path) -> None:
    with running_registry(tmp_path, deletes=False) as registry:
        ref = f"{registry.host}/app"
        for number, name in enumerate(("old", "older", "new")):
            put(f"{ref}:{name}", number, seconds=number * 100)
        [done] = prune_caches([ref], plan(keep_last=1))
        assert (done.exit_code, len(done.failures)) == (70, 2)
        assert all("allow deletion" in str(error) for error in done.failures)
        assert {item.name: item.reason for item in done.names} == {
            "new": "among the newest 1",
            "old": "could not be removed",
            "older": "could not be removed",
        }
        [told] = prune_caches([ref], Plan(retention=Retention(keep_last=1)))
        assert (told.exit_code, told.failures) == (0, ())


def test_names_that_went_are_told_though_others_stay(registry: Registry, repo: str) -> None:
    ref = f"{registry.host}/{repo}"
    put(f"{ref}:main", 1, 2)
    tag_cache(f"{ref}:main", "pr-2")
    put(f"{ref}:pr-1", 3)
    gone: list[str] = []
    assert remove_names(f"{ref}:pr-1", dry_run=True, removed=gone.append) == gone == ["pr-1"]
    gone.clear()
    with pytest.raises(FailedPrecondition, match="pr-2 cannot be removed without main"):
        remove_names(f"{ref}:pr-*", removed=gone.append)
    assert gone == ["pr-1"]
    assert registry.tags(repo) == ["main", "pr-2"]


def test_ages_keep_their_order_when_a_place_moves(spec: Spec, places: Places, kind: str) -> None:
    other = places("s3" if kind == "local" else "local")
    for number, name in enumerate(("c", "a", "b")):
        put(spec(name), 9, number, seconds=number * 100)
    order = [item.name for item in list_names(spec("x"))]
    copy_names(spec("x"), other("x"))
    moved = [item.name for item in list_names(other("x"))]
    if kind == "local":  # a bucket tells times to the second
        times = {item.name: item.time for item in list_names(other("x"))}
        assert sorted(times, key=lambda name: (-(times[name] or 0), order.index(name))) == order
    else:
        assert moved == order
