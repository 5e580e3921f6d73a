"""The attributes of `type=fsspec`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cachexport.plugin import ObjectExport, ObjectImport, attribute, count, names

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORDS = {"true": True, "false": False, "null": None}


def _url(text: str) -> str:
    if "::" in text.partition("://")[0]:
        raise ValueError("wants a URL that is not made of others, as gs://bucket/prefix")
    if not re.match(r"[a-z][a-z0-9+.-]*://", text):
        raise ValueError("wants a URL, as in gs://bucket/prefix or file:///var/cache")
    return text


def _names(text: str) -> tuple[str, ...]:
    found = names(text)
    if any(not part for name in found for part in name.split("/")):
        raise ValueError("wants names whose slashes have something on both sides")
    return found


def _option(text: str) -> Any:
    """Read true, false, null, a list or an object as JSON does; all else is text."""
    if text in _WORDS:
        return _WORDS[text]
    if not text.startswith(("{", "[", '"')):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError("begins as JSON does, and is none") from error


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Where caches are, and how to get there."""

    url: str = attribute("url", _url, summary="the folder or bucket of it all, as gs://bucket/team")
    options: Mapping[str, Any] = attribute(
        "option.*", _option, default=None, summary="what the file system of fsspec takes besides"
    )
    name: tuple[str, ...] = attribute(
        "name", _names, default=("buildkit",), summary="the cache's name; several joined by ;"
    )
    parallelism: int = attribute(
        "parallelism", count, default=4, summary="how many blobs move at once, by default 4"
    )
    retries: int = attribute(
        "retries", count, default=5, summary="how often something temporary is tried, by default 5"
    )


@dataclass(frozen=True, kw_only=True)
class FsspecImport(Connection, ObjectImport):
    """What `type=fsspec` takes as a source."""


@dataclass(frozen=True, kw_only=True)
class FsspecExport(Connection, ObjectExport):
    """What `type=fsspec` takes as a target."""
