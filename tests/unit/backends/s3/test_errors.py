"""Every failure of S3 and of boto3 becomes one of ours, and says what to do."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from cachexport.backends.s3.errors import refusal, translated
from cachexport.errors import Auth, BackendError, CachexportError, NotFound, Outdated, S3Error

WHERE = "s3://bucket/team/blobs/sha256:1"


def response(code: str, status: int, **error: str) -> dict[str, Any]:
    return {
        "Error": {"Code": code, "Message": "CONFIDENTIAL", **error},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
    }


@pytest.mark.parametrize(
    ("code", "status", "kind", "said"),
    [
        ("NoSuchKey", 404, NotFound, "is not there"),
        ("404", 404, S3Error, "endpoint_url="),
        ("NoSuchBucket", 404, S3Error, "no such bucket"),
        ("PreconditionFailed", 412, Outdated, "somebody else"),
        ("412", 412, Outdated, "somebody else"),
        ("ConditionalRequestConflict", 409, Outdated, "somebody else"),
        ("AccessDenied", 403, Auth, "s3:PutObject"),
        ("403", 403, Auth, "s3:PutObject"),
        ("InvalidAccessKeyId", 403, Auth, "not known there"),
        ("SignatureDoesNotMatch", 403, Auth, "secret does not fit"),
        ("ExpiredToken", 400, Auth, "has expired"),
        ("InvalidToken", 400, Auth, "not valid"),
        ("RequestTimeTooSkewed", 403, Auth, "clock"),
        ("SomethingNew", 401, Auth, "permission"),
        ("PermanentRedirect", 301, S3Error, "set region="),
        ("301", 301, S3Error, "set region="),
        ("AuthorizationHeaderMalformed", 400, S3Error, "set region="),
        ("InvalidBucketName", 400, S3Error, "bucket="),
        ("EntityTooLarge", 400, S3Error, "part_size="),
        ("InvalidStorageClass", 400, S3Error, "storage_class="),
        ("KMS.NotFoundException", 400, S3Error, "sse_kms_key_id="),
        ("InvalidObjectState", 403, S3Error, "restored"),
        ("XMinioStorageFull", 507, S3Error, "full"),
        ("SomethingNew", 400, S3Error, "400 SomethingNew"),
    ],
)
def test_a_refusal(code: str, status: int, kind: type[CachexportError], said: str) -> None:
    error = refusal("write", WHERE, response(code, status))
    assert type(error) is kind
    assert said in str(error)
    assert WHERE in str(error)
    assert "CONFIDENTIAL" not in str(error)
    assert not getattr(error, "temporary", False)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("SlowDown", 503),
        ("InternalError", 500),
        ("ServiceUnavailable", 503),
        ("RequestTimeout", 400),
        ("Throttling", 400),
        ("TooManyRequests", 429),
        ("502", 502),
        ("504", 504),
    ],
)
def test_what_may_pass_is_temporary(code: str, status: int) -> None:
    error = refusal("write", WHERE, response(code, status))
    assert isinstance(error, S3Error)
    assert error.temporary
    assert error.code == code


def test_a_bare_404_is_an_answer_where_there_is_no_more() -> None:
    assert type(refusal("head", WHERE, response("404", 404))) is NotFound


def test_what_is_no_s3_server_is_named() -> None:
    with pytest.raises(BackendError, match="endpoint_url="), translated("list", WHERE):
        raise ResponseParserError("<html>")


def test_the_right_region_is_told_where_it_is_known() -> None:
    known = response("PermanentRedirect", 301)
    known["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] = "eu-west-1"
    assert "set region=eu-west-1" in str(refusal("read", WHERE, known))
    malformed = response("AuthorizationHeaderMalformed", 400, Region="eu-north-1")
    assert "set region=eu-north-1" in str(refusal("read", WHERE, malformed))
    bare = response("400", 400)
    bare["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] = "eu-west-1"
    assert "set region=eu-west-1" in str(refusal("head", WHERE, bare))


@pytest.mark.parametrize(
    ("op", "permission"),
    [
        ("head", "s3:GetObject"),
        ("read", "s3:GetObject"),
        ("list", "s3:ListBucket"),
        ("write", "s3:PutObject"),
        ("delete", "s3:DeleteObject"),
    ],
)
def test_who_is_denied_hears_which_permission(op: str, permission: str) -> None:
    assert permission in str(refusal(op, WHERE, response("AccessDenied", 403)))


@pytest.mark.parametrize(
    ("raised", "kind", "temporary", "said"),
    [
        (boto.NoCredentialsError(), Auth, False, "anonymous=true"),
        (boto.PartialCredentialsError(provider="env", cred_var="x"), Auth, False, "no login"),
        (boto.ProfileNotFound(profile="p"), Auth, False, "ProfileNotFound"),
        (
            boto.CredentialRetrievalError(provider="p", error_msg="CONFIDENTIAL"),
            Auth,
            False,
            "cannot be had",
        ),
        (boto.NoRegionError(), BackendError, False, "region="),
        (boto.SSLError(endpoint_url="u", error="e"), BackendError, False, "AWS_CA_BUNDLE"),
        (
            boto.EndpointConnectionError(endpoint_url="u"),
            BackendError,
            True,
            "nothing answers there",
        ),
        (boto.ConnectTimeoutError(endpoint_url="u"), BackendError, True, "nothing answers"),
        (boto.ReadTimeoutError(endpoint_url="u"), BackendError, True, "broke"),
        (boto.ConnectionClosedError(endpoint_url="u"), BackendError, True, "broke"),
        (boto.ResponseStreamingError(error="e"), BackendError, True, "broke"),
        (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), BackendError, True, "broke"),
        (boto.ParamValidationError(report="r"), BackendError, False, "ParamValidationError"),
    ],
)
def test_a_failure(
    raised: boto.BotoCoreError, kind: type[BackendError], temporary: bool, said: str
) -> None:
    with pytest.raises(kind) as caught, translated("write", WHERE):
        raise raised
    assert not caught.value.temporary  # boto3 has used its retries up
    assert caught.value.exhausted is temporary
    with pytest.raises(kind, match=said) as caught, translated("write", WHERE, retried=False):
        raise raised
    assert type(caught.value) is kind
    assert (caught.value.temporary, caught.value.exhausted) == (temporary, False)
    assert caught.value.__cause__ is raised
    assert WHERE in str(caught.value)
    assert "CONFIDENTIAL" not in str(caught.value)
