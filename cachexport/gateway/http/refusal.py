"""What is answered when something does not go, in the words of the distribution specification."""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cachexport.errors import (
    AlreadyExists,
    BackendError,
    Conflict,
    ContentError,
    FailedPrecondition,
    Integrity,
    InvalidDigest,
    InvalidInputError,
    NotFound,
    TransferError,
    Unavailable,
    WireFormat,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

RETRY_AFTER = 5
"""Seconds after which a client may try again."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(eq=False)
class Refusal(Exception):
    """An answer that is an error."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)
    detail: object = None

    def body(self) -> bytes:
        """Give the JSON that the specification wants."""
        error = {"code": self.code, "message": self.message, "detail": self.detail}
        return json.dumps({"errors": [error]}).encode()


def later(status: int, code: str, message: str) -> Refusal:
    """Refuse a request that may succeed when it is sent again."""
    return Refusal(status, code, message, {"Retry-After": str(RETRY_AFTER)})


def blob_unknown(digest: str) -> Refusal:
    """Give the refusal for a missing blob."""
    return Refusal(404, "BLOB_UNKNOWN", f"there is no blob {digest}", detail={"digest": digest})


def manifest_unknown(message: str) -> Refusal:
    """Give the refusal for a missing manifest."""
    return Refusal(404, "MANIFEST_UNKNOWN", message)


def refusal(error: Exception) -> Refusal:
    """Translate an error of the library, or of the machine."""
    if isinstance(error, Refusal):
        return error
    if _is_full(error):
        return Refusal(507, "UNAVAILABLE", f"no space is left: {error}")
    if isinstance(error, BackendError) and not (error.temporary or error.exhausted):
        return Refusal(502, "UNAVAILABLE", str(error))
    for kind, status, code in _TABLE:
        if isinstance(error, kind):
            refuse = later if status == _AWAY else Refusal
            return refuse(status, code, str(error))
    return Refusal(500, "UNKNOWN", f"{type(error).__name__}: {error}")


_AWAY = 503
_TABLE: tuple[tuple[type[Exception], int, str], ...] = (
    (WireFormat, 400, "MANIFEST_INVALID"),
    (InvalidDigest, 400, "DIGEST_INVALID"),
    (InvalidInputError, 400, "NAME_INVALID"),
    (Integrity, 400, "DIGEST_INVALID"),
    (AlreadyExists, 409, "DENIED"),
    (Conflict, _AWAY, "UNAVAILABLE"),
    (Unavailable, _AWAY, "UNAVAILABLE"),
    (FailedPrecondition, 409, "DENIED"),
    (NotFound, 404, "NAME_UNKNOWN"),
    (ContentError, _AWAY, "UNAVAILABLE"),
    (BackendError, _AWAY, "UNAVAILABLE"),
    (TransferError, _AWAY, "UNAVAILABLE"),
    (OSError, _AWAY, "UNAVAILABLE"),
)


def _is_full(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        error = error.__cause__
    return False
