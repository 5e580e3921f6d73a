"""The paths of the distribution API."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from cachexport.errors import InvalidReference
from cachexport.gateway.http.refusal import Refusal
from cachexport.gateway.shelf.names import check

_PREFIX = "/v2/"
_KINDS = (
    ("uploads", re.compile(r"(.+)/blobs/uploads/([A-Za-z0-9_-]*)")),
    ("uploads", re.compile(r"(.+)/blobs/uploads()")),
    ("blobs", re.compile(r"(.+)/blobs/([^/]+)")),
    ("manifests", re.compile(r"(.+)/manifests/([^/]+)")),
    ("tags", re.compile(r"(.+)/tags/(list)")),
)


@dataclass(frozen=True, slots=True)
class Target:
    """What a path means: `repository` and, in it, `item`, which is text as the client sent it."""

    kind: str
    repository: str = ""
    item: str = ""


def target(raw_path: str) -> Target:
    """Read a path as it was sent, still encoded. Raises Refusal for one that means nothing.

    Nothing in a repository is ever encoded, so an encoded slash or point is no part of one.
    """
    if raw_path in (_PREFIX, _PREFIX.rstrip("/")):
        return Target("base")
    if not raw_path.startswith(_PREFIX):
        raise Refusal(404, "NAME_UNKNOWN", "only /v2/ is served here")
    for kind, pattern in _KINDS:
        found = pattern.fullmatch(raw_path, len(_PREFIX))
        if found is not None:
            _check(found[1])
            return Target(kind, found[1], unquote(found[2]))
    raise Refusal(404, "NAME_UNKNOWN", "no path of the distribution API")


def _check(repository: str) -> None:
    try:
        check(repository)
    except InvalidReference as error:
        raise Refusal(400, "NAME_INVALID", str(error)) from error
