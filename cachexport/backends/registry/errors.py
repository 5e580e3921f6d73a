"""What a registry's refusals mean, and what the network's failures do."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import urllib3

from cachexport.errors import Auth, BackendError, CachexportError, NotFound, RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which trying again may help."""
_MAX_DIAGNOSTICS = 3


def refusal(op: str, place: str, status: int, body: bytes) -> CachexportError:
    """Give the error for a response that was not the expected one.

    `op` and `place` say what was tried and where. Of the body only the code and message of each
    of the specification's errors is told: nothing else of a stranger's answer gets into a log.
    """
    diagnostics = _diagnostics(body)
    said = "; ".join(diagnostics[:_MAX_DIAGNOSTICS]) or "no reason given"
    message = f"{place}: cannot {op}: the registry answered {status} ({said})"
    if status in (401, 403):
        hint = "log in with `docker login`, or check that the account may do this"
        return Auth(f"{message}; {hint}", op=op)
    if status == 404:
        return NotFound(message)
    return RegistryError(
        message,
        op=op,
        status=status,
        diagnostics=tuple(diagnostics),
        temporary=status in TEMPORARY,
    )


@contextmanager
def network(op: str, place: str) -> Iterator[None]:
    """Turn failures of the network in a block into a BackendError that says what was tried."""
    try:
        yield
    except urllib3.exceptions.HTTPError as error:
        temporary = not isinstance(error, urllib3.exceptions.SSLError)
        message = f"{place}: cannot {op}: {_reason(error)}"
        raise BackendError(message, op=op, temporary=temporary) from error


def _reason(error: BaseException) -> str:
    if isinstance(error, urllib3.exceptions.SSLError):
        return (
            f"the certificate is not trusted ({error}); add its authority to the system's, "
            "or set registry.insecure=true"
        )
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return "the host's name is not known"
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return "nothing answers there (connection refused)"
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "no answer in time; a longer timeout= may help"
    return f"the connection broke ({type(error).__name__})"


def _diagnostics(body: bytes) -> list[str]:
    try:
        errors = json.loads(body)["errors"]
        return [f"{item['code']}: {item.get('message', '')}".rstrip(": ") for item in errors]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
