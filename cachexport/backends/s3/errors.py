"""What S3's and boto3's failures mean."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import urllib3
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from cachexport.errors import Auth, BackendError, CachexportError, NotFound, Outdated, S3Error

if TYPE_CHECKING:
    from collections.abc import Iterator

ABSENT = frozenset({"NoSuchKey", "404", "NotFound", "NoSuchVersion"})
OUTDATED = frozenset(
    {"PreconditionFailed", "412", "ConditionalRequestConflict", "OperationAborted"}
)
NOT_IMPLEMENTED = frozenset({"NotImplemented", "501"})
_TEMPORARY = frozenset(
    {
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "TooManyRequestsException",
        "RequestThrottled",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "InternalError",
        "InternalFailure",
        "ServiceUnavailable",
        "PriorRequestNotComplete",
    }
)
_TEMPORARY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_WITHOUT_BODY = frozenset({"head", "touch"})
"""Operations that S3 answers with a bare status. For others a bare 404 is not from S3."""
_DENIED = {
    "AccessDenied": "",
    "403": "",
    "Forbidden": "",
    "AllAccessDisabled": "",
    "AccountProblem": "",
    "InvalidAccessKeyId": "the access key is not known there; check the login and endpoint_url",
    "SignatureDoesNotMatch": "the secret does not fit the access key; check secret_access_key "
    "or $AWS_SECRET_ACCESS_KEY",
    "InvalidToken": "the session token is not valid there; log in again",
    "ExpiredToken": "the session token has expired; log in again",
    "ExpiredTokenException": "the session token has expired; log in again",
    "TokenRefreshRequired": "the session token has expired; log in again",
    "InvalidClientTokenId": "the access key is not known there; check the login",
    "RequestTimeTooSkewed": "this machine's clock differs too much from the server's; set it",
}
_REGION = frozenset(
    {
        "PermanentRedirect",
        "301",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "TemporaryRedirect",
    }
)
_HINTS = {
    "404": "that is not S3's word for a missing object; check endpoint_url=",
    "NoSuchBucket": "there is no such bucket; make it, or check bucket= and endpoint_url=",
    "InvalidBucketName": "that is no name of a bucket; check bucket=",
    "EntityTooLarge": "the server takes no object of this size in one piece; set part_size=",
    "InvalidStorageClass": "check storage_class=",
    "KMS.NotFoundException": "check sse_kms_key_id=",
    "QuotaExceeded": "the server is full",
    "XMinioStorageFull": "the server is full",
    "InvalidObjectState": "the object is archived and has to be restored first",
}
_PERMISSIONS = {
    "head": "s3:GetObject",
    "read": "s3:GetObject",
    "list": "s3:ListBucket",
    "write": "s3:PutObject",
    "touch": "s3:GetObject and s3:PutObject",
    "delete": "s3:DeleteObject",
    "read the lifecycle rules of": "s3:GetLifecycleConfiguration",
    "set the lifecycle rules of": "s3:PutLifecycleConfiguration",
}


@contextmanager
def translated(op: str, where: str, *, retried: bool = True) -> Iterator[None]:
    """Turn failures of boto3 in a block into ours; `op` and `where` say what was tried with what.

    `retried` says that boto3 retries the call by itself. An error then says that the retries are
    used up (`exhausted`), so that no other layer adds its own. Of the server's text only the code
    gets into a message: the rest may repeat the request with its secrets.
    """
    try:
        yield
    except boto.ClientError as error:
        exhausted = retried and _was_last(error.response)
        raise refusal(op, where, error.response, exhausted=exhausted) from error
    except boto.BotoCoreError as error:
        raise _failure(op, where, error, exhausted=retried) from error
    except urllib3.exceptions.HTTPError as error:
        # boto3 reads the body of a refusal outside of its own net.
        message = f"{where}: cannot {op}: the connection broke ({type(error).__name__})"
        raise BackendError(message, op=op, temporary=True) from error
    except CachexportError:
        raise
    except (ResponseParserError, KeyError, RecursionError, ValueError) as error:
        message = f"{where}: cannot {op}: what answers does not speak S3; check endpoint_url="
        raise BackendError(message, op=op) from error


def _was_last(response: Any) -> bool:
    told = response.get("ResponseMetadata", {})
    return bool(told.get("MaxAttemptsReached") or told.get("RetryQuotaReached"))


def refusal(op: str, where: str, response: Any, *, exhausted: bool = False) -> CachexportError:
    """Give the error for a response of the server that is one."""
    code = str(response.get("Error", {}).get("Code", ""))
    metadata = response.get("ResponseMetadata", {})
    status = int(metadata.get("HTTPStatusCode", 0))
    message = f"{where}: cannot {op}: the server answered {status} {code}".rstrip()
    if code in ABSENT and (op in _WITHOUT_BODY or not code.isdigit()):
        return NotFound(f"{where} is not there")
    if code in OUTDATED:
        return Outdated(f"{where}: somebody else wrote it meanwhile")
    if code in _DENIED or (status in (401, 403) and code not in _HINTS):
        return Auth(f"{message}; {_denied(op, code)}", op=op)
    region = _bucket_region(response)
    if code in _REGION or (region and status in (301, 307, 400)):
        hint = f"the bucket is in {region}; set region={region}" if region else "set region="
        return S3Error(f"{message}; {hint}", op=op, code=code)
    hint = _HINTS.get(code, "")
    return S3Error(
        f"{message}; {hint}" if hint else message,
        op=op,
        code=code,
        temporary=code in _TEMPORARY or status in _TEMPORARY_STATUSES,
        exhausted=exhausted,
    )


def code_of(error: BaseException) -> str:
    """Give the server's own code for an error that `translated` made; empty where it gave none."""
    cause = error.__cause__
    if not isinstance(cause, boto.ClientError):
        return ""  # others may have a response of another kind
    return str(cause.response.get("Error", {}).get("Code", ""))


def code_or_text(error: CachexportError) -> str:
    """Give the server's own code for an error, or else its whole text."""
    return code_of(error) or str(error)


def _denied(op: str, code: str) -> str:
    permission = _PERMISSIONS.get(op, "")
    needed = f"the login needs the permission {permission} on it"
    return _DENIED.get(code) or (needed if permission else "check the login")


def _bucket_region(response: Any) -> str:
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    error = response.get("Error", {})
    return str(headers.get("x-amz-bucket-region") or error.get("Region") or "")


def _failure(
    op: str, where: str, error: boto.BotoCoreError, *, exhausted: bool = False
) -> CachexportError:
    message = f"{where}: cannot {op}: "
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError):
        hint = "there is no login; set $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY, or profile="
        return Auth(f"{message}{hint}; a public bucket can be read with anonymous=true", op=op)
    if isinstance(error, _LOGIN_FAILED):
        return Auth(f"{message}the login cannot be had ({type(error).__name__})", op=op)
    if isinstance(error, boto.NoRegionError):
        return BackendError(f"{message}no region is known; set region=", op=op)
    if isinstance(error, boto.SSLError):
        hint = "the server's certificate is not trusted; set $AWS_CA_BUNDLE"
        return BackendError(f"{message}{hint}", op=op)
    if isinstance(error, boto.EndpointConnectionError | boto.ConnectTimeoutError):
        hint = "nothing answers there; check endpoint_url= and region="
        return BackendError(f"{message}{hint}", op=op, temporary=True, exhausted=exhausted)
    if isinstance(error, boto.HTTPClientError | boto.IncompleteReadError):
        reason = f"the connection broke ({type(error).__name__})"
        return BackendError(message + reason, op=op, temporary=True, exhausted=exhausted)
    return BackendError(f"{message}{type(error).__name__}: {error}", op=op)


_LOGIN_FAILED = (
    boto.CredentialRetrievalError,
    boto.ConfigNotFound,
    boto.ProfileNotFound,
    boto.TokenRetrievalError,
    boto.UnauthorizedSSOTokenError,
    boto.SSOTokenLoadError,
    boto.MetadataRetrievalError,
)
