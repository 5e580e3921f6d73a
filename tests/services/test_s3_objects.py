"""What becomes of single objects: how often they are tried, and what is kept of them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from services.s3_places import Place, forget_logins
from support import caches
from support.services.faulty_proxy import RESET_BEFORE, Failure, FaultyProxy

from cachexport import (
    CacheChains,
    CacheResult,
    Descriptor,
    Digest,
    MemoryContent,
    Remote,
    copy_cache,
    export_cache,
    load_cache,
)
from cachexport.errors import CachexportError, NotFound, S3Error
from cachexport.oci import mediatype

if TYPE_CHECKING:
    from pathlib import Path

    from support.services.messages import Request
    from support.services.s3 import S3

MAX = f"type=local,src={caches.FOLDER / 'max'}"
LARGE = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(400_000))


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_logins(monkeypatch, tmp_path / "home")


@pytest.fixture
def place(s3: S3, prefix: str) -> Place:
    return Place(s3, prefix)


def large() -> CacheChains:
    chains = CacheChains()
    remote = Remote([Descriptor.of(LARGE, mediatype.OCI_LAYER)], MemoryContent([LARGE]))
    chains.add(Digest.of(b"step"), results=[CacheResult("2026-01-01T00:00:00Z", remote)])
    return chains


def writes_blob(request: Request) -> bool:
    return request.method == "PUT" and "/blobs/" in request.path


def writes_name(request: Request) -> bool:
    return request.method == "PUT" and "/manifests/" in request.path


def reads(request: Request) -> bool:
    return request.method == "GET" and "/manifests/" in request.path


@pytest.mark.parametrize("failure", [Failure(before=True, status=503), RESET_BEFORE])
@pytest.mark.parametrize("when", [writes_blob, writes_name, reads])
def test_a_request_is_tried_as_often_as_it_is_told(
    place: Place, failure: Failure, when: object
) -> None:
    copy_cache([MAX], [place.spec()])
    for kind in ("blobs", "manifests"):
        if when is not reads:
            first = next(iter(place.s3.keys(place.s3.shared, f"{place.prefix}{kind}/")))
            place.s3.client.delete_object(Bucket=place.s3.shared, Key=first)
    with FaultyProxy(place.s3.endpoint, 1, [failure], when=when) as proxy:  # type: ignore[arg-type]
        spec = place.spec("retry_max_attempts=2", endpoint=proxy.url)
        with pytest.raises(CachexportError):
            if when is reads:
                load_cache(spec)
            else:
                copy_cache([MAX], [f"{spec},upload_parallelism=1"])
        assert len(proxy.failed) == 2


@pytest.mark.parametrize("server", ["s3", "moto_s3"])
def test_checksums_are_agreed_on_before_parts_are_sent(
    server: str, request: pytest.FixtureRequest, prefix: str
) -> None:
    place = Place(request.getfixturevalue(server), prefix)

    agreed: list[str | None] = []

    def begins(request: Request) -> bool:
        if request.method == "POST" and "?uploads" in request.target:
            agreed.append(request.headers.get("x-amz-checksum-algorithm"))
        return False

    with FaultyProxy(place.s3.endpoint, 1, when=begins) as proxy:
        spec = place.spec("part_size=5MiB,checksum=when_supported", endpoint=proxy.url)
        export_cache(large(), spec)
    assert agreed == ["CRC32"]
    [cache] = load_cache(place.spec("checksum=when_supported"))
    key = f"{prefix}blobs/{cache.layers[0].digest}"
    answer = place.s3.client.get_object(Bucket=place.s3.shared, Key=key)
    assert answer["Body"].read() == LARGE


def test_what_is_stored_with_a_blob_stays_when_it_is_touched(place: Place) -> None:
    copy_cache([MAX], [place.spec()])
    keys = place.s3.keys(place.s3.shared, f"{place.prefix}blobs/")
    for key in keys:
        where = {"Bucket": place.s3.shared, "Key": key}
        raw = place.s3.client.get_object(**where)["Body"].read()
        theirs = {"Metadata": {"owner": "somebody"}, "ContentType": "application/x-layer"}
        place.s3.client.put_object(**where, Body=raw, CacheControl="max-age=60", **theirs)
    copy_cache([MAX], [place.spec("touch_refresh=1ns")])
    for key in keys:
        answer = place.s3.client.head_object(Bucket=place.s3.shared, Key=key)
        assert answer["Metadata"] == {"owner": "somebody"}
        assert answer["ContentType"] == "application/x-layer"
        assert answer["CacheControl"] == "max-age=60"


def test_a_storage_class_stays_unless_another_is_set(moto_s3: S3, prefix: str) -> None:
    place = Place(moto_s3, prefix)

    def classes() -> set[str]:
        where = {"Bucket": place.s3.shared, "Prefix": f"{prefix}blobs/"}
        listed = place.s3.client.list_objects_v2(**where)["Contents"]
        return {item["StorageClass"] for item in listed}

    copy_cache([MAX], [place.spec("storage_class=STANDARD_IA")])
    copy_cache([MAX], [place.spec("touch_refresh=1ns")])
    assert classes() == {"STANDARD_IA"}
    copy_cache([MAX], [place.spec("touch_refresh=1ns,storage_class=ONEZONE_IA")])
    assert classes() == {"ONEZONE_IA"}


def test_a_mistyped_bucket_is_no_missing_cache(place: Place) -> None:
    copy_cache([MAX], [place.spec()])
    absent = Digest.of(b"nobody has this")
    with pytest.raises(NotFound):
        load_cache(place.spec(f"digest={absent}"))
    mistyped = place.spec(f"digest={absent}").replace("bucket=", "bucket=x")
    with pytest.raises(S3Error, match="there is no such bucket; make it, or check bucket="):
        load_cache(mistyped)
