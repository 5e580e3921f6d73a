"""Compacting where a cache is: in a registry and in a bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport import (
    CacheChains,
    CacheResult,
    Descriptor,
    Digest,
    MemoryContent,
    Remote,
    compact_cache,
    export_cache,
    import_cache,
    verify_cache,
)
from cachexport.oci import mediatype

if TYPE_CHECKING:
    from support.services.registry import Registry
    from support.services.s3 import S3

STEPS = 12


def build() -> CacheChains:
    chains = CacheChains()
    for number in range(STEPS):
        raw = b"layer %d" % number
        remote = Remote([Descriptor.of(raw, mediatype.OCI_LAYER)], MemoryContent([raw]))
        results = [CacheResult(f"2026-01-{number + 1:02d}T00:00:00Z", remote)]
        chains.add(Digest.of(b"step %d" % number), results=results)
    return chains


def newest(count: int) -> set[str]:
    return {Digest.of(b"step %d" % number) for number in range(STEPS - count, STEPS)}


def left(spec: str) -> set[str]:
    return {record.digest for record in import_cache(spec).marshal()[0].records}


def compacted_in_place(spec: str) -> None:
    export_cache(build(), spec)
    dry = compact_cache(spec, max_layers=5, dry_run=True)
    assert left(spec) == newest(STEPS)
    found = compact_cache(spec, max_layers=5)
    assert found.cache.wrapped == dry.cache.wrapped
    assert left(spec) == newest(5)
    [verified] = verify_cache(spec)
    assert verified.faults == ()


def test_in_a_registry(registry: Registry, repo: str) -> None:
    compacted_in_place(f"type=registry,ref={registry.host}/{repo}:cache")


def test_in_a_bucket(s3: S3, prefix: str) -> None:
    login = f"access_key_id={s3.admin.access},secret_access_key={s3.admin.secret}"
    where = f"endpoint_url={s3.endpoint},bucket={s3.shared},region=us-east-1,prefix={prefix}"
    compacted_in_place(f"type=s3,{where},{login}")
    spec = f"type=s3,{where},{login}"
    unlimited = compact_cache(spec, dry_run=True)
    assert unlimited.after == unlimited.before
