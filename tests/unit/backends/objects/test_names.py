"""Names of a store: what BuildKit reads there, and what we add."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support import caches
from support.clock import go_by

from cachexport import CacheChains, Descriptor, Digest, load_cache
from cachexport.backends.objects.layout import Blobs, Keys
from cachexport.backends.objects.names import (
    MANIFEST_METADATA,
    decode_named,
    encode_named,
    load_named,
)
from cachexport.backends.objects.source import ObjectSource
from cachexport.backends.objects.target import ObjectTarget
from cachexport.contract.export import CommonExport
from cachexport.errors import AlreadyExists, Integrity, NotFound, WireFormat
from cachexport.model.envelope.manifest import encode_manifest
from cachexport.testing.memory import MemoryObjects
from cachexport.transfer.prepare import prepare, prepare_chains
from cachexport.transfer.write import write

KEYS = Keys(blobs="team/blobs/", names="team/manifests/")
BUCKET = caches.FOLDER / "s3-bucket"
NAME = (BUCKET / "team/manifests/main").read_bytes()
DAY = 24 * 3600.0


def bucket() -> MemoryObjects:
    """Give a bucket as BuildKit left it."""
    client = MemoryObjects()
    for path in BUCKET.rglob("*"):
        if path.is_file():
            client.replace(str(path.relative_to(BUCKET)), path.read_bytes(), {}, version=None)
    client.asked.clear()
    return client


def blobs(client: MemoryObjects) -> Blobs:
    go_by(client)
    return Blobs(client=client, keys=KEYS)


def target(client: MemoryObjects, name: str = "main", **attrs: bool) -> ObjectTarget:
    force = attrs.pop("force", False)
    return ObjectTarget(CommonExport(**attrs), blobs(client), name, force=force)


def local(name: str):
    [cache] = load_cache(f"type=local,src={caches.FOLDER / name}")
    return cache


def export(client: MemoryObjects, cache, name: str = "main", **attrs: bool) -> dict[str, str]:
    end = target(client, name, **attrs)
    return write(prepare([cache], end.common), end)


def test_a_name_is_read_as_buildkit_wrote_it():
    config, layers = decode_named(NAME)
    assert encode_named(config, layers) == NAME
    assert all(layer.annotations is None for layer in config.layers)


@pytest.mark.parametrize("name", ["max", "max-docker-list", "max-oci-index"])
def test_the_same_build_gives_what_buildkit_wrote(name):
    client = MemoryObjects()
    export(client, local(name))
    raw, stored = client.load("team/manifests/main")
    ours, theirs = decode_named(raw), decode_named(NAME)
    assert ours[0] == theirs[0]
    assert [replace(desc, annotations={}) for desc in ours[1]] == [
        replace(desc, annotations={}) for desc in theirs[1]
    ]
    assert raw == NAME
    manifest = local(name).wrapped.descriptor
    assert stored.metadata == {MANIFEST_METADATA: manifest.digest}


def test_without_a_manifest_an_image_manifest_is_made():
    client = bucket()
    cache, _ = load_named(blobs(client), KEYS.name("main"))
    assert cache.wrapped == local("max").wrapped
    assert client.asked == {"read": 1}


@pytest.mark.parametrize("name", caches.LAYOUTS)
def test_there_and_back_changes_no_byte(name):
    client = MemoryObjects()
    before = local(name)
    response = export(client, before)
    after, _ = load_named(blobs(client), KEYS.name("main"))
    assert after.wrapped == before.wrapped
    assert after.layers == before.layers
    digest = Descriptor.decode(json.loads(response["cache.manifest"])).digest
    [by_digest] = ObjectSource(blobs(client), ["other"], digest).load()
    assert by_digest.wrapped == before.wrapped


def test_a_manifest_of_something_else_is_passed_over(caplog):
    client = MemoryObjects()
    export(client, local("max"))
    export(client, local("copy-link"), "other")
    raw, stored = client.objects[KEYS.name("other")]
    mine = client.objects[KEYS.name("main")][1].metadata
    client.objects[KEYS.name("other")] = (raw, replace(stored, metadata=mine))
    cache, _ = load_named(blobs(client), KEYS.name("other"))
    assert cache.config == local("copy-link").config
    assert cache.wrapped.config == cache.config.encode()


def test_an_expired_manifest_is_made_anew():
    client = MemoryObjects()
    export(client, local("max-docker-list"))
    _, stored = client.objects[KEYS.name("main")]
    del client.objects[KEYS.blob(Digest.parse(stored.metadata[MANIFEST_METADATA]))]
    cache, _ = load_named(blobs(client), KEYS.name("main"))
    assert cache.wrapped == local("max").wrapped


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"<html>", "team/manifests/main"),
        (NAME + b"\n{}", "team/manifests/main"),
        (NAME[:-9], "team/manifests/main"),
        (b'{"some":"thing"}', "no cache config"),
        (b"[]", "team/manifests/main"),
        (b'{"layers":[{"blob":"sha256:%s","parent":-1}]}' % (b"0" * 64), "without annotations"),
    ],
)
def test_what_is_no_cache_is_named_and_not_replaced(raw, said):
    client = MemoryObjects()
    client.replace(KEYS.name("main"), raw, {}, version=None)
    with pytest.raises(WireFormat, match=said):
        ObjectSource(blobs(client), ["main"]).load()
    for merge in (False, True):
        with pytest.raises(AlreadyExists, match="force=true"):
            export(client, local("max"), merge=merge)
        assert list(client.objects) == [KEYS.name("main")]
    export(client, local("max"), force=True, merge=True)
    assert client.load(KEYS.name("main"))[0] == NAME


def test_an_empty_cache_is_none_and_may_be_replaced():
    client = MemoryObjects()
    client.replace(KEYS.name("main"), b"{}", {}, version=None)
    with pytest.raises(NotFound, match="is an empty cache"):
        ObjectSource(blobs(client), ["main"]).load()
    export(client, local("max"), merge=True)
    assert client.load(KEYS.name("main"))[0] == NAME


def test_a_cache_is_never_replaced_by_an_empty_one():
    client = bucket()
    end = target(client)
    chains = CacheChains()
    chains.add(Digest.of(b"x"))
    assert write(prepare_chains(chains, end.common), end) == {}
    assert client.load(KEYS.name("main"))[0] == NAME


def test_unchanged_takes_three_requests():
    client = MemoryObjects()
    for _ in range(2):
        client.asked.clear()
        export(client, local("max"))
    assert client.asked == {"read": 1, "list": 1, "write": 1}


def test_a_blob_of_another_size_is_written_again():
    client = bucket()
    key = next(key for key in client.objects if "/blobs/" in key)
    whole, stored = client.objects[key]
    client.objects[key] = (whole[:-1], replace(stored, size=len(whole) - 1))
    export(client, local("max"))
    assert client.load(key)[0] == whole


def test_old_blobs_are_touched_and_young_ones_are_not():
    client = bucket()
    client.time = DAY
    export(client, local("max"))
    assert client.asked["touch"] == 0
    client.time = DAY + 1
    export(client, local("max"))
    layers = {KEYS.blob(desc.digest) for desc in local("max").layers}
    assert {key for key in layers if client.objects[key][1].modified == DAY + 1} == layers
    assert client.asked["touch"] == len(layers)


def test_a_blob_that_expires_before_it_is_touched_is_written():
    client = bucket()
    client.time = 2 * DAY
    lost = KEYS.blob(local("max").layers[0].digest)
    genuine = client.touch

    def touch(stored):
        if stored.key == lost:
            client.objects.pop(lost, None)
        genuine(stored)

    client.touch = touch
    export(client, local("max"))
    assert lost in client.objects


def test_a_missing_blob_fails_the_export_and_is_named():
    client = bucket()
    cache, _ = load_named(blobs(client), KEYS.name("main"))
    gone = cache.layers[0].digest
    del client.objects[KEYS.blob(gone)]
    other = MemoryObjects()
    with pytest.raises(Integrity, match=gone):
        export(other, cache)
    assert KEYS.name("main") not in other.objects


def test_a_truncated_blob_fails_the_export_and_is_named():
    client = bucket()
    cache, _ = load_named(blobs(client), KEYS.name("main"))
    key = KEYS.blob(cache.layers[0].digest)
    whole, stored = client.objects[key]
    client.objects[key] = (whole[:-1], stored)
    other = MemoryObjects()
    with pytest.raises(Integrity, match=f"{cache.layers[0].digest} is corrupt"):
        export(other, cache)
    assert not other.objects


def test_merging_writes_only_what_it_read():
    client = bucket()
    export(client, local("copy-link"), merge=True)
    [cache] = ObjectSource(blobs(client), ["main"]).load()
    records = {record.digest for record in cache.config.records}
    for name in ("max", "copy-link"):
        assert {record.digest for record in local(name).config.records} <= records


def test_a_store_that_knows_no_conditions_is_read_again():
    client = bucket()
    intruder = [True]
    genuine = client.replace

    def replace_unconditionally(key, raw, metadata, /, *, version):
        done = genuine(key, raw, metadata, version=None)
        if intruder.pop() if intruder else False:
            genuine(key, NAME, {}, version=None)
        return done

    client.replace = replace_unconditionally
    export(client, local("copy-link"), merge=True)
    [cache] = ObjectSource(blobs(client), ["main"]).load()
    records = {record.digest for record in cache.config.records}
    assert {record.digest for record in local("copy-link").config.records} <= records


def test_what_is_not_new_is_kept_young_and_whole():
    client = MemoryObjects()
    export(client, local("max"), merge=True)
    _, stored = client.load(KEYS.name("main"))
    manifest = KEYS.blob(Digest.parse(stored.metadata[MANIFEST_METADATA]))
    del client.objects[manifest]
    client.time = 2 * DAY
    export(client, local("max"), merge=True)
    assert client.load(KEYS.name("main"))[1].modified == 2 * DAY
    assert client.load(KEYS.name("main"))[1].metadata == stored.metadata
    assert manifest in client.objects


def test_who_replaces_a_foreign_name_does_not_replace_who_did_so_before():
    client = MemoryObjects()
    client.replace(KEYS.name("main"), b"foreign", {}, version=None)
    genuine, others = client.load, [local("max")]

    def load(key):
        found = genuine(key)
        if key == KEYS.name("main") and others:
            export(client, others.pop(), force=True)
        return found

    client.load = load
    export(client, local("copy-link"), merge=True, force=True)
    [cache] = ObjectSource(blobs(client), ["main"]).load()
    records = {record.digest for record in cache.config.records}
    for name in ("max", "copy-link"):
        assert {record.digest for record in local(name).config.records} <= records


def test_a_name_that_is_deleted_after_it_was_written_is_written_again():
    client = bucket()
    genuine, deleted = client.replace, []

    def replace_and_lose(key, raw, metadata, /, *, version):
        done = genuine(key, raw, metadata, version=version)
        if not deleted:
            deleted.append(client.objects.pop(key))
        return done

    client.replace = replace_and_lose
    export(client, local("copy-link"), merge=True)
    assert deleted
    assert ObjectSource(blobs(client), ["main"]).load()


def test_a_manifest_that_lacks_a_layer_is_passed_over():
    client = MemoryObjects()
    export(client, local("max"))
    raw, stored = client.objects[KEYS.name("main")]
    cache = local("max")
    short = encode_manifest(cache.wrapped.form, cache.layers[1:], cache.wrapped.config_descriptor)
    digest = Digest.of(short)
    client.replace(KEYS.blob(digest), short, {}, version=None)
    client.objects[KEYS.name("main")] = (raw, replace(stored, metadata={MANIFEST_METADATA: digest}))
    found, _ = load_named(blobs(client), KEYS.name("main"))
    assert found.layers == cache.layers


def test_a_negative_size_is_no_size():
    first = decode_named(NAME)[1][0].size
    with pytest.raises(WireFormat, match="negative size"):
        decode_named(NAME.replace(b'"size":%d' % first, b'"size":-1', 1))
