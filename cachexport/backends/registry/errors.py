"""Errors for the refusals of registries and the failures of the network."""

from __future__ import annotations

import json
import re
import ssl
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import urllib3

from cachexport.content.clock import clock
from cachexport.errors import Auth, BackendError, CachexportError, NotFound, RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which another try may help."""
_MAX_DIAGNOSTICS = 3
_TLS_BROKE = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""How TLS reports a connection that ended. No other failure of TLS is temporary."""
_PROXY_LOGIN = "set its login in the URL of HTTP_PROXY or HTTPS_PROXY"
_HINTS = {
    407: f"the proxy wants a login: {_PROXY_LOGIN}",
    413: "it is too large for the registry or for a proxy before it; raise the limit there",
}


class Broken(BackendError):
    """No connection could be made, or it ended before the answer."""


def refusal(
    op: str,
    place: str,
    status: int,
    body: bytes,
    login: str = "",
    retry_after: float | None = None,
) -> CachexportError:
    """Give the error for a response with an unexpected status.

    `op` and `place` say what was tried and where, `login` where the login came from. Of the body
    the message has only the code and message of each of the specification's errors: nothing
    else that a stranger wrote gets into a log.
    """
    diagnostics = _diagnostics(body)
    said = "; ".join(diagnostics[:_MAX_DIAGNOSTICS]) or _HINTS.get(status, "no reason given")
    if b"HTTP request to an HTTPS server" in body:
        said = "it speaks TLS; set registry.insecure=false"
    message = f"{place}: cannot {op}: the registry answered {status} ({said})"
    if status in (401, 403):
        hint = f"check the login from {login}" if login else "log in with `docker login`"
        return Auth(f"{message}; {hint}, or check that the account may do this", op=op)
    if status == 404:
        return NotFound(message)
    return RegistryError(
        message,
        op=op,
        status=status,
        diagnostics=tuple(diagnostics),
        temporary=status in TEMPORARY,
        retry_after=retry_after,
    )


def seconds_asked(retry_after: str | None) -> float | None:
    """Read a Retry-After (RFC 9110, section 10.2.3): seconds or a date. None for none."""
    if retry_after is None:
        return None
    with suppress(ValueError):
        return max(0.0, float(retry_after))
    with suppress(ValueError):
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - clock().now())
    return None


@contextmanager
def network(op: str, place: str) -> Iterator[None]:
    """Raise Broken, which says what was tried, for a failure of the network in the block."""
    try:
        yield
    except urllib3.exceptions.HTTPError as error:
        message = f"{place}: cannot {op}: {reason(error)}"
        raise Broken(message, op=op, temporary=not _is_tls(error)) from error


def _is_tls(error: BaseException) -> bool:
    """Say whether client and server do not agree on TLS, which another try does not change."""
    kind = urllib3.exceptions.SSLError
    return isinstance(error, kind) and not isinstance(error.args[0], _TLS_BROKE)


def reason(error: BaseException) -> str:
    """Say in words what failed in the network, and what may help."""
    if _is_tls(error) and "WRONG_VERSION_NUMBER" in str(error):
        return "what answers there does not speak TLS; set registry.insecure=true for plain HTTP"
    if _is_tls(error) and "mismatch" in str(error):
        return f"the certificate is one for another name ({error}); use that name"
    if _is_tls(error):
        return (
            f"the certificate is not trusted ({error}); add its authority to the system's, "
            "or set registry.insecure=true"
        )
    if isinstance(error, urllib3.exceptions.ProxyError):
        return _proxys_reason(error)
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return "the host's name is not known"
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return "nothing answers there (connection refused)"
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "no answer in time; a longer timeout= may help"
    return "the connection broke"


def _proxys_reason(error: urllib3.exceptions.ProxyError) -> str:
    status = re.search(r"Tunnel connection failed: (\d+)", str(error.original_error))
    if status is None:
        return "the proxy that HTTP_PROXY or HTTPS_PROXY names does not answer"
    hint = f"; {_PROXY_LOGIN}" if status[1] == "407" else ""
    return f"the proxy answered {status[1]}{hint}"


def _diagnostics(body: bytes) -> list[str]:
    try:
        errors = json.loads(body)["errors"]
        return [f"{item['code']}: {item.get('message', '')}".rstrip(": ") for item in errors]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
