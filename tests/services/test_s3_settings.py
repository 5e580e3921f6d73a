"""What the attributes of `type=s3` do, seen in the requests and in what is stored."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from support import caches
from support.services.faulty_proxy import FaultyProxy

from cachexport import copy_cache, load_cache
from cachexport.backends.s3 import writing
from cachexport.backends.s3.client import S3Client
from cachexport.errors import Auth

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.services.messages import Request
    from support.services.s3 import S3

MAX = f"type=local,src={caches.FOLDER / 'max'}"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find no login that the machine has in its cloud."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def spec(server: S3, endpoint: str, prefix: str, attrs: str = "", *, login: bool = True) -> str:
    words = [f"type=s3,endpoint_url={endpoint},bucket={server.shared}", f"prefix={prefix}"]
    if login:
        words.append(f"access_key_id={server.admin.access},secret_access_key={server.admin.secret}")
    return ",".join([*words, "region=us-east-1", *([attrs] if attrs else [])])


@contextmanager
def listening(server: S3) -> Iterator[tuple[str, list[Request]]]:
    """Give an endpoint whose requests are recorded."""
    seen: list[Request] = []

    def record(request: Request) -> bool:
        seen.append(request)
        return False

    with FaultyProxy(server.endpoint, 1, when=record) as proxy:
        yield proxy.url, seen


def test_how_objects_are_kept(moto_s3: S3, prefix: str) -> None:
    attrs = "storage_class=STANDARD_IA,tags=team=a&cost=b c,sse=aws:kms,sse_kms_key_id=alias/k"
    copy_cache([MAX], [spec(moto_s3, moto_s3.endpoint, prefix, attrs)])
    keys = moto_s3.keys(moto_s3.shared, prefix)
    assert len(keys) == 13
    for key in keys:
        head = moto_s3.client.head_object(Bucket=moto_s3.shared, Key=key)
        assert head["StorageClass"] == "STANDARD_IA"
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", "alias/k")
        tags = moto_s3.client.get_object_tagging(Bucket=moto_s3.shared, Key=key)["TagSet"]
        assert {tag["Key"]: tag["Value"] for tag in tags} == {"team": "a", "cost": "b c"}


def test_what_is_touched_is_kept_as_it_was(moto_s3: S3, prefix: str) -> None:
    attrs = "storage_class=STANDARD_IA,tags=team=a"
    for more in ("", ",touch_refresh=0"):
        copy_cache([MAX], [spec(moto_s3, moto_s3.endpoint, prefix, attrs + more)])
    for key in moto_s3.keys(moto_s3.shared, f"{prefix}blobs/"):
        head = moto_s3.client.head_object(Bucket=moto_s3.shared, Key=key)
        assert head["StorageClass"] == "STANDARD_IA"
        tags = moto_s3.client.get_object_tagging(Bucket=moto_s3.shared, Key=key)["TagSet"]
        assert [tag["Value"] for tag in tags] == ["a"]


def test_a_huge_object_is_touched_in_parts(
    s3: S3, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_LARGEST_COPY", 6 << 20)
    monkeypatch.setattr(writing, "_COPIED_PART", 5 << 20)
    key, raw = f"{prefix}large", b"0123456789abcdef" * (13 << 16)
    s3.client.put_object(Bucket=s3.shared, Key=key, Body=raw)
    asked: list[str] = []
    genuine = s3.client.upload_part_copy

    def copy(**given: object) -> object:
        asked.append(str(given["CopySourceRange"]))
        return genuine(**given)

    monkeypatch.setattr(s3.client, "upload_part_copy", copy)
    from cachexport.backends.s3.attrs import Connection

    client = S3Client(lambda: s3.client, s3.shared, Connection(), writing.Writing())
    client.touch(client.head(key))
    assert asked == ["bytes=0-5242879", "bytes=5242880-10485759", "bytes=10485760-13631487"]
    assert s3.client.get_object(Bucket=s3.shared, Key=key)["Body"].read() == raw


def test_anonymous_sends_no_login(moto_s3: S3, prefix: str) -> None:
    copy_cache([MAX], [spec(moto_s3, moto_s3.endpoint, prefix)])
    for key in moto_s3.keys(moto_s3.shared, prefix):
        moto_s3.client.put_object_acl(Bucket=moto_s3.shared, Key=key, ACL="public-read")
    with listening(moto_s3) as (endpoint, seen):
        assert load_cache(spec(moto_s3, endpoint, prefix, "anonymous=true", login=False))
        assert seen
        assert not any("Authorization" in request.headers for request in seen)
        seen.clear()
        assert load_cache(spec(moto_s3, endpoint, prefix))
        assert all("Authorization" in request.headers for request in seen)


def test_a_login_may_have_a_token(moto_s3: S3, prefix: str) -> None:
    copy_cache([MAX], [spec(moto_s3, moto_s3.endpoint, prefix)])
    with listening(moto_s3) as (endpoint, seen):
        load_cache(spec(moto_s3, endpoint, prefix, "session_token=TOKEN"))
        assert {request.headers["X-Amz-Security-Token"] for request in seen} == {"TOKEN"}


def test_a_profile_has_the_login(
    s3: S3, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "credentials"
    login = f"aws_access_key_id={s3.admin.access}\naws_secret_access_key={s3.admin.secret}\n"
    file.write_text(f"[ci]\n{login}")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    target = spec(s3, s3.endpoint, prefix, "profile=ci", login=False)
    copy_cache([MAX], [target])
    assert load_cache(target)
    with pytest.raises(Auth, match="ProfileNotFound"):
        load_cache(spec(s3, s3.endpoint, prefix, "profile=nobody", login=False))


def test_a_role_is_assumed(moto_s3: S3, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto_s3.endpoint)
    copy_cache([MAX], [spec(moto_s3, moto_s3.endpoint, prefix)])
    with listening(moto_s3) as (endpoint, seen):
        role = "role_arn=arn:aws:iam::123456789012:role/ci"
        assert load_cache(spec(moto_s3, endpoint, prefix, role))
        # Those of the role, which are temporary, not those of who assumed it.
        assert all("X-Amz-Security-Token" in request.headers for request in seen)
        assert not any(moto_s3.admin.access in str(request.headers) for request in seen)


@pytest.mark.parametrize(("checksum", "sent"), [("when_required", False), ("when_supported", True)])
def test_checksums_are_sent_when_asked_for(
    moto_s3: S3, prefix: str, checksum: str, sent: bool
) -> None:
    with listening(moto_s3) as (endpoint, seen):
        copy_cache([MAX], [spec(moto_s3, endpoint, prefix, f"checksum={checksum}")])
        writes = [request for request in seen if request.method == "PUT"]
        assert writes
        told = ["x-amz-checksum" in str(request.headers).lower() for request in writes]
        assert any(told) is sent


def test_the_bucket_is_in_the_path_when_that_is_asked_for(moto_s3: S3, prefix: str) -> None:
    with listening(moto_s3) as (endpoint, seen):
        copy_cache([MAX], [spec(moto_s3, endpoint, prefix, "use_path_style=true")])
        assert all(request.path.startswith(f"/{moto_s3.shared}") for request in seen)
