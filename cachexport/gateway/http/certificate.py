"""A certificate and its key, checked before a server needs them.

This module stands apart from the server's: it needs no package of the extra `serve`.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from cachexport.errors import InvalidInputError

if TYPE_CHECKING:
    from pathlib import Path

_STRANGERS = frozenset({"KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})
"""OpenSSL's reasons for a key of another certificate; the second is for a key of another type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """A certificate and its key, as files in PEM."""

    certificate: Path
    key: Path | None = None


def check_certificate(certificate: Path, key: Path | None) -> None:
    """Raise InvalidInputError unless a server can use these files in PEM.

    Without `key`, the key is in the file of the certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_verify_locations(certificate)
    except (OSError, ValueError) as error:
        raise InvalidInputError(
            f"{certificate} has no certificate in PEM that can be read ({_reason(error)}); "
            "give the server's own first, then those that it was signed with"
        ) from error
    kept = key or certificate
    try:
        context.load_cert_chain(certificate, key, password=lambda: _refuse(kept))
    except InvalidInputError:
        raise
    except (OSError, ValueError) as error:
        raise InvalidInputError(_problem(certificate, kept, error)) from error


def _problem(certificate: Path, key: Path, error: Exception) -> str:
    reason = getattr(error, "reason", None)
    if reason in _STRANGERS:
        return (
            f"the key in {key} does not belong to the certificate in {certificate}; the server's "
            "own certificate has to be the first there"
        )
    if reason is None:
        return f"{key} has no private key in PEM that can be read ({_reason(error)})"
    return f"{certificate} and {key} are no good for a server ({_reason(error)})"


def _refuse(key: Path) -> NoReturn:
    raise InvalidInputError(
        f"the key in {key} needs a password; write it without one into a file that only this user "
        f"reads: (umask 077; openssl pkey -in {key} -out FILE)"
    )


def _reason(error: Exception) -> str:
    """Give the reason of OpenSSL, or of the system."""
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return reason.partition(" (_ssl.c")[0].lower().replace("_", " ")
