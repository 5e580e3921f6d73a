"""The attributes of `type=azblob`: BuildKit's, and ours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from cachexport.plugin import ObjectExport, ObjectImport, attribute, count, names, size
from cachexport_azblob.keys import joined

MAX_PART = 4000 << 20
"""Bytes; Azure takes no larger block."""


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("wants a URL, as in https://account.blob.core.windows.net")
    return text


def _container(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9](-?[a-z0-9])*|\$root|\$web", text):
        raise ValueError("wants the name of a container: small letters, digits and single hyphens")
    return text


def _names(text: str) -> tuple[str, ...]:
    found = tuple(joined(name).strip("/") for name in names(text))
    if any(name in (".", "") or name.split("/")[0] == ".." for name in found):
        raise ValueError("wants names that stay below the prefix")
    return found


def _folder(text: str) -> str:
    if joined(text).split("/")[0] == "..":
        raise ValueError("wants a path that does not lead out")
    return text


def _part_size(text: str) -> int:
    number = size(text)
    if not 0 < number <= MAX_PART:
        raise ValueError("wants up to 4000MiB")
    return number


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How to reach a container, and where in it caches are."""

    account_url: str = attribute(
        "account_url",
        _url,
        default="",
        summary="the account's URL; else $BUILDKIT_AZURE_STORAGE_ACCOUNT_URL",
    )
    account_name: str = attribute(
        "account_name",
        default="",
        summary="its name; else $BUILDKIT_AZURE_STORAGE_ACCOUNT_NAME, else that in the URL",
    )
    secret_access_key: str = attribute(
        "secret_access_key", default="", summary="a key of the account; else Azure's own logins"
    )
    container: str = attribute(
        "container",
        _container,
        default="",
        summary="the container; else $BUILDKIT_AZURE_STORAGE_CONTAINER, else buildkit-cache",
    )
    prefix: str | None = attribute(
        "prefix",
        _folder,
        default=None,
        summary="the folder of it all; else $BUILDKIT_AZURE_STORAGE_PREFIX",
    )
    blobs_prefix: str = attribute(
        "blobs_prefix", _folder, default="blobs", summary="the folder of blobs in it"
    )
    manifests_prefix: str = attribute(
        "manifests_prefix", _folder, default="manifests", summary="the folder of names in it"
    )
    name: tuple[str, ...] = attribute(
        "name",
        _names,
        default=("buildkit",),
        summary="the cache's name; several joined by ;",
    )
    upload_parallelism: int = attribute(
        "upload_parallelism", count, default=4, summary="how many blobs move at once"
    )
    retry_max_attempts: int = attribute(
        "retry_max_attempts", count, default=5, summary="how often something temporary is tried"
    )


@dataclass(frozen=True, kw_only=True)
class AzblobImport(Connection, ObjectImport):
    """What `type=azblob` takes as a source."""


@dataclass(frozen=True, kw_only=True)
class AzblobExport(Connection, ObjectExport):
    """What `type=azblob` takes as a target."""

    part_size: int = attribute(
        "part_size",
        _part_size,
        default=8 << 20,
        summary="bytes of a block of a large upload, by default 8MiB",
    )
