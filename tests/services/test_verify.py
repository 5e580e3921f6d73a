"""Verifying caches where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support import caches

from cachexport import copy_cache, load_cache, verify_cache

if TYPE_CHECKING:
    from support.services.registry import Registry
    from support.services.s3 import S3
    from support.services.scripted import ScriptedRegistry

MAX = f"type=local,src={caches.FOLDER / 'max'}"


def layers() -> list[str]:
    return [desc.digest for desc in load_cache(MAX)[0].layers]


def told(source: str, *, deep: bool = False) -> set[tuple[str, str]]:
    [found] = verify_cache(source, deep=deep)
    return {(fault.kind, fault.blob) for fault in found.faults}


def test_a_real_registry_has_what_it_was_given(registry: Registry, repo: str) -> None:
    ref = f"{registry.host}/{repo}:cache"
    copy_cache([MAX], [ref])
    assert told(ref, deep=True) == set()


def test_a_registry_that_lost_blobs(scripted: ScriptedRegistry, repo: str) -> None:
    ref = f"{scripted.host}/{repo}:cache"
    copy_cache([MAX], [ref])
    blobs = scripted.store.repositories[repo].blobs
    missing, short, spoiled = layers()[:3]
    del blobs[missing]
    blobs[short] = blobs[short][:-1]
    blobs[spoiled] = blobs[spoiled][:-1] + b"?"
    shallow = {("missing", missing), ("wrong-size", short)}
    assert told(ref) == shallow
    assert told(ref, deep=True) == shallow | {("corrupt", spoiled)}


def test_a_bucket_that_lost_blobs(s3: S3, prefix: str) -> None:
    login = f"access_key_id={s3.admin.access},secret_access_key={s3.admin.secret}"
    where = f"endpoint_url={s3.endpoint},bucket={s3.shared},region=us-east-1,prefix={prefix}"
    spec = f"type=s3,{where},{login}"
    copy_cache([MAX], [spec])
    assert told(spec, deep=True) == set()
    missing, short, spoiled = layers()[:3]
    key = f"{prefix}blobs/"
    s3.client.delete_object(Bucket=s3.shared, Key=key + missing)
    for digest, end in ((short, b""), (spoiled, b"?")):
        whole = s3.client.get_object(Bucket=s3.shared, Key=key + digest)["Body"].read()
        s3.client.put_object(Bucket=s3.shared, Key=key + digest, Body=whole[:-1] + end)
    shallow = {("missing", missing), ("wrong-size", short)}
    assert told(spec) == shallow
    assert told(spec, deep=True) == shallow | {("corrupt", spoiled)}
