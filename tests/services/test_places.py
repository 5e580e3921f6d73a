"""Places as a whole, the same for a directory, a registry and a bucket."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from support import caches
from support.services.exports import hasten
from support.services.push import push_blob, push_manifest
from support.services.registry import running_registry
from support.small import BEGIN, small_chains

from cachexport import (
    Descriptor,
    Digest,
    copy_cache,
    copy_names,
    export_cache,
    list_names,
    load_cache,
    prune_caches,
    remove_names,
    tag_cache,
    touch_cache,
    verify_cache,
)
from cachexport.errors import FailedPrecondition, InvalidInputError, NotFound, PluginError
from cachexport.maintenance.places import open_place
from cachexport.maintenance.prune import Plan
from cachexport.maintenance.retention import Retention
from cachexport.oci import mediatype

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


def names(spec: Spec) -> list[str]:
    return sorted(item.name for item in list_names(spec("x")))


def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds: stores tell times to the second."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.1)


def plan(grace: float = 24 * HOUR, **rules: object) -> Plan:
    return Plan(retention=Retention(**rules), grace=grace, dry_run=False)  # type: ignore[arg-type]


def test_names_are_listed_with_what_they_are(spec: Spec) -> None:
    copy_cache([MAX], [spec("main")])
    put(spec("pr-1"), 1, 2)
    found = {item.name: item for item in list_names(spec("main"))}
    assert set(found) == {"main", "pr-1"}
    [cache] = load_cache(MAX)
    assert found["main"].digest == cache.wrapped.descriptor.digest  # type: ignore[attr-defined]
    assert (found["main"].records, found["main"].layers, found["main"].kind) == (
        16,
        10,
        "image-manifest",
    )
    assert (found["pr-1"].records, found["pr-1"].layers) == (3, 2)
    assert all(item.time and item.time > BEGIN - 1 and not item.fault for item in found.values())
    assert [item.name for item in list_names(spec("x"), "pr-*")] == ["pr-1"]


def test_a_place_that_is_not_there(spec: Spec, kind: str) -> None:
    if kind == "s3":
        assert list_names(spec("x")) == []  # a prefix is nothing that can be missing
    else:
        with pytest.raises(NotFound):
            list_names(spec("x"))


def test_a_tag_moves_nothing_and_a_name_goes_alone(spec: Spec) -> None:
    put(spec("main"), 1, 2)
    tag_cache(spec("main"), "v1", "v2")
    assert names(spec) == ["main", "v1", "v2"]
    assert load_cache(spec("v1"))[0].config == load_cache(spec("main"))[0].config


def test_names_are_removed_by_pattern(spec: Spec) -> None:
    for number, name in enumerate(("main", "pr-1", "pr-2")):
        put(spec(name), number)
    assert remove_names(spec("pr-*")) == ["pr-1", "pr-2"]
    assert names(spec) == ["main"]
    with pytest.raises(NotFound, match="pr-1"):
        remove_names(spec("pr-1"))


def test_a_pool_is_read_through_a_pattern(spec: Spec) -> None:
    for number, name in enumerate(("main", "pr-1", "pr-2", "pr-3")):
        put(spec(name), 9, number, seconds=number * 100)
    merged = {layer.blob for cache in load_cache(spec("pr-*")) for layer in cache.config.layers}
    assert len(merged) == 4
    assert len(load_cache(spec("pr-*") + ",newest=2")) == 2
    with pytest.raises(NotFound, match=r"zzz-\*"):
        load_cache(spec("zzz-*"))


def test_pruning_keeps_what_is_to_stay_and_all_that_it_needs(spec: Spec, kind: str) -> None:
    for number, name in enumerate(("old", "middle", "new")):
        put(spec(name), 9, number, seconds=number * 100)
    dry = Plan(retention=Retention(keep_last=1, keep_names=("old",)), grace=24 * HOUR)
    [told] = prune_caches([spec("x")], dry)
    newest = "new" if kind == "registry" else told.names[0].name
    verdicts = {item.name: item.stays for item in told.names}
    assert verdicts == {"old": True, "middle": newest == "middle", "new": newest == "new"}
    assert names(spec) == ["middle", "new", "old"]
    [done] = prune_caches([spec("x")], plan(keep_last=1, keep_names=("old",)))
    assert {item.name: item.stays for item in done.names} == verdicts
    assert names(spec) == sorted({newest, "old"})
    for name in names(spec):
        [found] = verify_cache(spec(name), deep=True)
        assert not found.faults


def test_what_nobody_needs_goes_after_the_grace(spec: Spec, kind: str) -> None:
    put(spec("main"), 1, 2)
    put(spec("gone"), 3, 4)
    remove_names(spec("gone"))
    if kind == "registry":
        [told] = prune_caches([spec("x")], plan())
        assert told.freed is None
        return
    [young] = prune_caches([spec("x")], plan())
    assert (young.freed, young.young.blobs) != (None, 0)
    assert young.freed is not None
    assert (young.freed.blobs, young.young.blobs, young.kept.blobs) == (0, 4, 4)
    attrs = spec("x") + (",touch_refresh=0s" if kind == "s3" else "")
    until(lambda: not prune_caches([attrs], Plan(grace=0.0))[0].young.blobs)
    [old] = prune_caches([attrs], plan(grace=0.0))
    assert old.freed is not None
    assert (old.freed.blobs, old.young.blobs, old.kept.blobs) == (4, 0, 4)
    [found] = verify_cache(spec("main"), deep=True)
    assert not found.faults


def test_a_grace_must_be_longer_than_exports_trust_blobs(spec: Spec, kind: str) -> None:
    put(spec("main"), 1)
    if kind == "s3":
        with pytest.raises(InvalidInputError, match="touch_refresh"):
            prune_caches([spec("x")], plan(grace=HOUR))
    else:
        prune_caches([spec("x")], plan(grace=HOUR))


def test_touching_renews_what_has_an_age(spec: Spec, kind: str) -> None:
    put(spec("main"), 1, 2)
    if kind == "registry":
        with pytest.raises(PluginError, match="age"):
            touch_cache(spec("main"))
    else:
        assert touch_cache(spec("main")) == 4
        with pytest.raises(NotFound):
            touch_cache(spec("other"))


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
        "no cache",
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
