"""The rig itself: S3 servers do what tests take for granted."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from support.services.client import ask
from support.services.faulty_proxy import RESET_AFTER, Failure, FaultyProxy
from support.services.s3 import REGION, AccessKey, connected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.services.s3 import S3

RACERS = 3  # more of them wait for each other in steps of a second
ROUNDS = 5
PART = bytes(range(256)) * (5 << 12)  # 5 MiB, the least that a part may have but the last


def test_what_is_put_can_be_got(s3: S3, prefix: str) -> None:
    etag = _put(s3, prefix + "a", b"one")
    found = s3.client.get_object(Bucket=s3.shared, Key=prefix + "a")
    assert (found["Body"].read(), found["ETag"]) == (b"one", etag)
    assert s3.keys(s3.shared, prefix) == [prefix + "a"]


def test_a_bucket_is_new_and_empty(s3: S3, bucket: str) -> None:
    assert s3.keys(bucket) == []
    s3.client.put_object(Bucket=bucket, Key="a", Body=b"one")
    assert s3.keys(bucket) == ["a"]


def test_a_bucket_is_gone_with_all_that_is_in_it(s3: S3) -> None:
    with s3.bucket() as name:
        s3.client.put_object(Bucket=name, Key="a", Body=b"one")
    with _refused("NoSuchBucket", 404):
        s3.client.list_objects_v2(Bucket=name)


def test_many_buckets_may_be_there_at_once(s3: S3) -> None:
    names = [f"many-{number}" for number in range(100)]
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda name: s3.client.create_bucket(Bucket=name), names))
        list(pool.map(lambda name: s3.client.put_object(Bucket=name, Key="a", Body=b"x"), names))
        list(pool.map(lambda name: s3.client.delete_bucket(Bucket=name), names))


def test_a_put_may_ask_that_nothing_is_there(s3: S3, prefix: str) -> None:
    _put(s3, prefix + "a", b"one", IfNoneMatch="*")
    with _refused("PreconditionFailed", 412):
        _put(s3, prefix + "a", b"two", IfNoneMatch="*")
    assert _get(s3, prefix + "a") == b"one"


def test_a_put_may_ask_that_nothing_has_changed(s3: S3, prefix: str) -> None:
    first = _put(s3, prefix + "a", b"one")
    second = _put(s3, prefix + "a", b"two", IfMatch=first)
    assert first != second
    with _refused("PreconditionFailed", 412):
        _put(s3, prefix + "a", b"three", IfMatch=first)
    assert _get(s3, prefix + "a") == b"two"


def test_a_delete_may_ask_that_nothing_has_changed(s3: S3, prefix: str) -> None:
    first = _put(s3, prefix + "a", b"one")
    second = _put(s3, prefix + "a", b"two")
    with _refused("PreconditionFailed", 412):
        s3.client.delete_object(Bucket=s3.shared, Key=prefix + "a", IfMatch=first)
    s3.client.delete_object(Bucket=s3.shared, Key=prefix + "a", IfMatch=second)
    assert s3.keys(s3.shared, prefix) == []


def test_a_get_may_ask_whether_anything_has_changed(s3: S3, prefix: str) -> None:
    etag = _put(s3, prefix + "a", b"one")
    with _refused("304", 304):
        s3.client.head_object(Bucket=s3.shared, Key=prefix + "a", IfNoneMatch=etag)


def test_one_of_those_who_create_at_once_wins(s3: S3, prefix: str) -> None:
    for number in range(ROUNDS):
        key = f"{prefix}{number}"
        winners = _race(lambda body, key=key: _put(s3, key, body, IfNoneMatch="*"))
        assert [_get(s3, key)] == winners


def test_one_of_those_who_replace_at_once_wins(s3: S3, prefix: str) -> None:
    etag = _put(s3, prefix + "a", b"before")
    for _ in range(ROUNDS):
        winners = _race(lambda body, etag=etag: _put(s3, prefix + "a", body, IfMatch=etag))
        assert [_get(s3, prefix + "a")] == winners
        etag = s3.client.head_object(Bucket=s3.shared, Key=prefix + "a")["ETag"]


def test_a_copy_onto_itself_moves_the_time(s3: S3, prefix: str) -> None:
    _put(s3, prefix + "a", b"one", Metadata={"a": "b"})
    before = s3.client.head_object(Bucket=s3.shared, Key=prefix + "a")
    time.sleep(1.1)  # the time has whole seconds
    s3.client.copy_object(
        Bucket=s3.shared,
        Key=prefix + "a",
        CopySource={"Bucket": s3.shared, "Key": prefix + "a"},
        MetadataDirective="REPLACE",
        Metadata={"c": "d"},
    )
    after = s3.client.head_object(Bucket=s3.shared, Key=prefix + "a")
    assert after["LastModified"] > before["LastModified"]
    assert (after["ETag"], after["Metadata"]) == (before["ETag"], {"c": "d"})
    listed = s3.client.list_objects_v2(Bucket=s3.shared, Prefix=prefix)["Contents"]
    assert [entry["LastModified"] for entry in listed] == [after["LastModified"]]


def test_an_upload_of_parts_is_there_when_it_is_complete(s3: S3, prefix: str) -> None:
    _upload(s3, prefix + "a", [PART, b"rest"], seen=lambda: s3.keys(s3.shared, prefix) == [])
    assert _get(s3, prefix + "a") == PART + b"rest"


def test_an_upload_of_parts_may_ask_that_nothing_is_there(s3: S3, prefix: str) -> None:
    _put(s3, prefix + "a", b"one")
    with _refused("PreconditionFailed", 412):
        _upload(s3, prefix + "a", [b"two"], IfNoneMatch="*")
    assert _get(s3, prefix + "a") == b"one"


def test_an_upload_that_is_given_up_leaves_nothing(s3: S3, prefix: str) -> None:
    place = {"Bucket": s3.shared, "Key": prefix + "a"}
    begun = s3.client.create_multipart_upload(**place)["UploadId"]
    s3.client.upload_part(**place, UploadId=begun, PartNumber=1, Body=b"part")
    assert _uploads(s3, prefix) == [begun]
    s3.client.abort_multipart_upload(**place, UploadId=begun)
    assert (_uploads(s3, prefix), s3.keys(s3.shared, prefix)) == ([], [])
    with _refused("NoSuchUpload", 404):
        s3.client.upload_part(**place, UploadId=begun, PartNumber=2, Body=b"part")


def test_a_listing_has_pages_of_1_000(s3: S3, prefix: str) -> None:
    names = [f"{prefix}{number:04}" for number in range(1_001)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: _put(s3, name, b""), names))
    page = s3.client.list_objects_v2(Bucket=s3.shared, Prefix=prefix)
    assert (page["KeyCount"], page["IsTruncated"]) == (1_000, True)
    token = page["NextContinuationToken"]
    last = s3.client.list_objects_v2(Bucket=s3.shared, Prefix=prefix, ContinuationToken=token)
    assert [entry["Key"] for entry in last["Contents"]] == names[1_000:]
    assert not last["IsTruncated"]
    assert s3.keys(s3.shared, prefix) == names
    objects = [{"Key": name} for name in names[:1_000]]
    s3.client.delete_objects(Bucket=s3.shared, Delete={"Objects": objects})
    assert s3.keys(s3.shared, prefix) == names[1_000:]


def test_a_range_is_given(s3: S3, prefix: str) -> None:
    _put(s3, prefix + "a", b"0123456789")
    part = s3.client.get_object(Bucket=s3.shared, Key=prefix + "a", Range="bytes=2-4")
    assert (part["Body"].read(), part["ContentRange"]) == (b"234", "bytes 2-4/10")
    assert _get(s3, prefix + "a", Range="bytes=7-") == b"789"
    with _refused("InvalidRange", 416):
        _get(s3, prefix + "a", Range="bytes=10-")


def test_a_signed_address_needs_no_key(s3: S3, prefix: str) -> None:
    _put(s3, prefix + "a", b"one")
    place = {"Bucket": s3.shared, "Key": prefix + "a"}
    signed = s3.client.generate_presigned_url("get_object", place, ExpiresIn=60)
    assert ask("GET", signed).body == b"one"
    assert ask("GET", signed.replace("Signature=", "Signature=0")).status == 403
    assert ask("GET", signed.partition("?")[0]).status == 403


def test_what_is_missing_has_a_code(s3: S3, prefix: str) -> None:
    with _refused("NoSuchKey", 404):
        _get(s3, prefix + "a")
    with _refused("404", 404):
        s3.client.head_object(Bucket=s3.shared, Key=prefix + "a")
    with _refused("NoSuchBucket", 404):
        s3.client.get_object(Bucket="none-of-this-name", Key="a")
    with _refused("NoSuchBucket", 404):
        s3.client.put_object(Bucket="none-of-this-name", Key="a", Body=b"one")


def test_an_unknown_access_key_is_refused(s3: S3) -> None:
    with connected(s3.endpoint, AccessKey.fresh()) as stranger, _refused("InvalidAccessKeyId", 403):
        stranger.list_objects_v2(Bucket=s3.shared)


def test_a_wrong_secret_is_refused(s3: S3) -> None:
    wrong = AccessKey(s3.admin.access, "guess")
    with connected(s3.endpoint, wrong) as guessing, _refused("SignatureDoesNotMatch", 403):
        guessing.list_objects_v2(Bucket=s3.shared)


def test_a_reader_only_reads(s3: S3, bucket: str, prefix: str) -> None:
    _put(s3, prefix + "a", b"one")
    place = {"Bucket": s3.shared, "Key": prefix + "a"}
    with connected(s3.endpoint, s3.reader) as reader:
        assert reader.get_object(**place)["Body"].read() == b"one"
        assert reader.list_objects_v2(Bucket=s3.shared, Prefix=prefix)["KeyCount"] == 1
        assert reader.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
        with _refused("AccessDenied", 403):
            reader.put_object(**place, Body=b"two")
        with _refused("AccessDenied", 403):
            reader.copy_object(**place, CopySource=place, MetadataDirective="REPLACE")
        with _refused("AccessDenied", 403):
            reader.create_multipart_upload(**place)
        with _refused("AccessDenied", 403):
            reader.delete_object(**place)
    assert _get(s3, prefix + "a") == b"one"


def test_a_tenant_has_one_bucket(s3: S3, bucket: str, prefix: str) -> None:
    with connected(s3.endpoint, s3.tenant) as tenant:
        tenant.put_object(Bucket=s3.shared, Key=prefix + "a", Body=b"one")
        assert tenant.list_objects_v2(Bucket=s3.shared, Prefix=prefix)["KeyCount"] == 1
        tenant.delete_object(Bucket=s3.shared, Key=prefix + "a")
        with _refused("AccessDenied", 403):
            tenant.list_objects_v2(Bucket=bucket)
        with _refused("AccessDenied", 403):
            tenant.get_object(Bucket=bucket, Key="a")
        with _refused("AccessDenied", 403):
            tenant.put_object(Bucket=bucket, Key="a", Body=b"one")


def test_checksums_of_the_client_are_checked(s3: S3, prefix: str) -> None:
    place = {"Bucket": s3.shared, "Key": prefix + "a"}
    s3.client.put_object(**place, Body=b"one", ChecksumAlgorithm="SHA256")
    with _refused("BadDigest", 400):
        s3.client.put_object(**place, Body=b"two", ChecksumSHA256="A" * 43 + "=")


def test_a_lost_reply_leaves_what_was_put(s3: S3, prefix: str) -> None:
    with FaultyProxy(s3.endpoint, 1, [RESET_AFTER]) as proxy, _boto_retries(proxy, s3) as client:
        proxy.when = lambda _: len(proxy.failed) == 0
        with _refused("PreconditionFailed", 412):
            client.put_object(Bucket=s3.shared, Key=prefix + "a", Body=PART, IfNoneMatch="*")
    assert _get(s3, prefix + "a") == PART


def test_a_busy_server_is_asked_again(s3: S3, prefix: str) -> None:
    busy = Failure(before=True, status=503)
    with FaultyProxy(s3.endpoint, 2, [busy]) as proxy, _boto_retries(proxy, s3) as client:
        for number in range(4):
            client.put_object(Bucket=s3.shared, Key=f"{prefix}{number}", Body=PART)
        assert len(proxy.failed) == 3
    assert len(s3.keys(s3.shared, prefix)) == 4


def test_moto_knows_buckets_keys_and_conditions(moto_s3: S3, prefix: str) -> None:
    etag = _put(moto_s3, prefix + "a", b"one", IfNoneMatch="*")
    with _refused("PreconditionFailed", 412):
        _put(moto_s3, prefix + "a", b"two", IfNoneMatch="*")
    _put(moto_s3, prefix + "a", b"two", IfMatch=etag)
    with _refused("PreconditionFailed", 412):
        _put(moto_s3, prefix + "a", b"three", IfMatch=etag)
    with _refused("NoSuchKey", 404):
        _put(moto_s3, prefix + "b", b"one", IfMatch=etag)
    with moto_s3.bucket() as name:
        moto_s3.client.put_object(Bucket=name, Key="a", Body=b"one")
    with _refused("NoSuchBucket", 404):
        moto_s3.client.get_object(Bucket=name, Key="a")


def _put(s3: S3, key: str, body: bytes, **conditions: Any) -> str:
    answer = s3.client.put_object(Bucket=s3.shared, Key=key, Body=body, **conditions)
    return str(answer["ETag"])


def _get(s3: S3, key: str, **conditions: Any) -> bytes:
    answer = s3.client.get_object(Bucket=s3.shared, Key=key, **conditions)
    return bytes(answer["Body"].read())


def _upload(
    s3: S3,
    key: str,
    bodies: list[bytes],
    seen: Callable[[], bool] = lambda: True,
    **conditions: Any,
) -> None:
    """Upload parts, and check what holds before they are an object."""
    place = {"Bucket": s3.shared, "Key": key}
    upload = s3.client.create_multipart_upload(**place)["UploadId"]
    parts = []
    for number, body in enumerate(bodies, 1):
        part = s3.client.upload_part(**place, UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    assert seen()
    s3.client.complete_multipart_upload(
        **place, UploadId=upload, MultipartUpload={"Parts": parts}, **conditions
    )


def _uploads(s3: S3, prefix: str) -> list[str]:
    found = s3.client.list_multipart_uploads(Bucket=s3.shared, Prefix=prefix)
    return [upload["UploadId"] for upload in found.get("Uploads", [])]


def _race(attempt: Callable[[bytes], object]) -> list[bytes]:
    """Let some try at once, each with a body of its own, and give the bodies of the winners."""
    start = Barrier(RACERS)
    race = uuid4().bytes  # what is put anew has its old ETag, as if nothing had changed

    def run(number: int) -> bytes | None:
        body = b"%d of %b" % (number, race)
        start.wait(10)
        try:
            attempt(body)
        except ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise
            return None
        return body

    with ThreadPoolExecutor(RACERS) as pool:
        return [body for body in pool.map(run, range(RACERS)) if body]


@contextmanager
def _refused(code: str, status: int) -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    response = caught.value.response
    found = (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"])
    assert found == (code, status)


@contextmanager
def _boto_retries(proxy: FaultyProxy, s3: S3) -> Iterator[Any]:
    """Give a client as programs have it, that tries again, checksums included."""
    client = boto3.client(
        "s3",
        endpoint_url=proxy.url,
        region_name=REGION,
        aws_access_key_id=s3.admin.access,
        aws_secret_access_key=s3.admin.secret,
        config=Config(proxies={}, retries={"mode": "standard"}),
    )
    try:
        yield client
    finally:
        client.close()
