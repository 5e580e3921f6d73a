"""The attributes of `type=s3`: BuildKit's, and ours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from cachexport.backends.objects.attrs import StoreExport, StoreImport
from cachexport.contract.attributes import attribute, flag, one_of
from cachexport.contract.units import count, names, size
from cachexport.errors import InvalidAttr

MIN_PART = 5 << 20
"""Bytes; S3 takes no smaller part, but for the last one."""
MAX_PART = 5 << 30


def _key(text: str) -> str:
    """Read what is a part of keys, which S3 wants in UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("wants valid UTF-8") from error
    return text


def _names(text: str) -> tuple[str, ...]:
    return names(_key(text))


def _part_size(text: str) -> int:
    number = size(text)
    if not MIN_PART <= number <= MAX_PART:
        raise ValueError("wants 5MiB to 5GiB")
    return number


def _tags(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split("&") if pair]
    if not all(key and equals for key, equals, _ in pairs):
        raise ValueError("wants key=value, several joined by &")
    return {key: value for key, _, value in pairs}


def _bucket(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/-]*", text):
        raise ValueError("wants the name of a bucket")
    return text


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("wants a URL, as in https://s3.example")
    return text


@dataclass(frozen=True, kw_only=True)  # without slots: two bases with slots do not mix
class Connection:
    """How to reach a bucket, and where in it caches are."""

    bucket: str = attribute("bucket", _bucket, default="", summary="the bucket; else $AWS_BUCKET")
    region: str = attribute("region", default="", summary="its region; else $AWS_REGION")
    prefix: str = attribute(
        "prefix", _key, default="", summary="what all keys begin with, as in team/"
    )
    blobs_prefix: str = attribute(
        "blobs_prefix", _key, default="blobs/", summary="then those of blobs"
    )
    manifests_prefix: str = attribute(
        "manifests_prefix", _key, default="manifests/", summary="then those of names"
    )
    name: tuple[str, ...] = attribute(
        "name", _names, default=("buildkit",), summary="the cache's name; several joined by ;"
    )
    endpoint_url: str = attribute(
        "endpoint_url", _url, default="", summary="the URL of a server that is not Amazon's"
    )
    use_path_style: bool | None = attribute(
        "use_path_style",
        flag,
        default=None,
        summary="put the bucket into the path, not the host; counts with endpoint_url only",
    )
    access_key_id: str = attribute("access_key_id", default="", summary="a login of its own")
    secret_access_key: str = attribute("secret_access_key", default="", summary="its secret")
    session_token: str = attribute("session_token", default="", summary="its token, if it has one")
    profile: str = attribute("profile", default="", summary="a profile of the AWS configuration")
    role_arn: str = attribute("role_arn", default="", summary="a role to assume")
    anonymous: bool = attribute("anonymous", flag, default=False, summary="ask without a login")
    retry_mode: str = attribute(
        "retry_mode",
        one_of("standard", "adaptive"),
        default="standard",
        summary="how temporary failures are retried: standard or adaptive",
    )
    retry_max_attempts: int = attribute(
        "retry_max_attempts", count, default=5, summary="how often something temporary is tried"
    )
    disable_accept_encoding: bool = attribute(
        "disable_accept_encoding",
        flag,
        default=False,
        summary="leave Accept-Encoding out of what is signed, for Google's servers",
    )
    upload_parallelism: int = attribute(
        "upload_parallelism", count, default=4, summary="how many blobs move at once"
    )
    checksum: str = attribute(
        "checksum",
        one_of("when_required", "when_supported"),
        default="when_required",
        summary="when S3's own checksums are sent and checked: when_required or when_supported",
    )

    def __post_init__(self) -> None:
        parent = getattr(super(), "__post_init__", None)
        if parent is not None:
            parent()
        if bool(self.access_key_id) != bool(self.secret_access_key):
            raise InvalidAttr(
                "access_key_id", "access_key_id and secret_access_key go together: one is missing"
            )
        if self.anonymous and (self.access_key_id or self.profile or self.role_arn):
            raise InvalidAttr("anonymous", "anonymous=true does not go with a login")


@dataclass(frozen=True, kw_only=True)
class S3Import(StoreImport, Connection):
    """What `type=s3` takes as a source."""


@dataclass(frozen=True, kw_only=True)
class S3Export(Connection, StoreExport):
    """What `type=s3` takes as a target."""

    part_size: int = attribute(
        "part_size",
        _part_size,
        default=8 << 20,
        summary="bytes of a part of a large upload, by default 8MiB",
    )
    sse: str = attribute("sse", default="", summary="encryption by the server: AES256 or aws:kms")
    sse_kms_key_id: str = attribute("sse_kms_key_id", default="", summary="the key for aws:kms")
    storage_class: str = attribute(
        "storage_class", default="", summary="the storage class, as in STANDARD_IA"
    )
    tags: dict[str, str] | None = attribute(
        "tags", _tags, default=None, summary="tags of all objects, as in team=a&cost=b"
    )
