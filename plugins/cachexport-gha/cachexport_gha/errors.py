"""What the failures of the service, of GitHub's API and of the storage behind mean."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from cachexport.errors import (
    AlreadyExists,
    Auth,
    BackendError,
    CachexportError,
    NotFound,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPORARY = frozenset({408, 429, 500, 502, 503, 504})
CODES: dict[str, type[CachexportError]] = {
    "already_exists": AlreadyExists,
    "not_found": NotFound,
    "permission_denied": Auth,
    "unauthenticated": Auth,
}
"""Twirp's words that are not just failures."""
WAITING = frozenset({"deadline_exceeded", "internal", "resource_exhausted", "unavailable"})
"""Those of what may go well another time."""


class Expired(BackendError):
    """A signed URL has had its time; another one will do."""

    def __init__(self, message: str, *, op: str) -> None:
        super().__init__(message, op=op, temporary=True)


def refusal(op: str, where: str, status: int, code: str = "") -> CachexportError:
    """Give the error for an answer that says no. `code` is the service's own word for it."""
    message = f"{where}: cannot {op}: the server answered {status} {code}".rstrip()
    kind = CODES.get(code) or {401: Auth, 403: Auth, 404: NotFound, 409: AlreadyExists}.get(status)
    if kind is Auth:
        hint = "the token may not do that, or has expired: it lives as long as its job"
        return Auth(f"{message}; {hint}", op=op)
    if kind is not None:
        found: CachexportError = kind(message)
        return found
    return BackendError(message, op=op, temporary=status in TEMPORARY or code in WAITING)


@contextmanager
def from_storage(op: str, where: str) -> Iterator[None]:
    """Turn failures of the storage's SDK in a block into ours."""
    from azure.core import exceptions as azure

    try:
        yield
    except azure.HttpResponseError as error:
        if error.status_code in (401, 403):
            raise Expired(f"{where}: cannot {op}: its URL has expired", op=op) from error
        if error.status_code:
            raise refusal(op, where, error.status_code) from error
        raise _broken(op, where, error) from error
    except azure.AzureError as error:
        raise _broken(op, where, error) from error


def _broken(op: str, where: str, error: Exception) -> BackendError:
    reason = f"the connection broke ({type(error).__name__})"
    return BackendError(f"{where}: cannot {op}: {reason}", op=op, temporary=True)
