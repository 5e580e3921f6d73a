"""Who may do what."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from cachexport.gateway.http.refusal import Refusal

if TYPE_CHECKING:
    from cachexport.gateway.http.tokens import Token

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="cachexport"'}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The rules of a gateway. Without tokens everybody is let in."""

    tokens: tuple[Token, ...] | None = None
    is_read_only: bool = False
    patterns: tuple[str, ...] = ("*",)
    """Which `repository` or `repository:tag` may be pushed to, as in a shell."""
    may_delete: bool = False

    def visitor(self, authorization: str) -> Visitor:
        """Let a client in that shows this header. Raises Refusal."""
        if self.tokens is None:
            return Visitor(self)
        shown = _secret(authorization)
        # All are compared, each in constant time: how long it takes tells nothing.
        found = [token for token in self.tokens if hmac.compare_digest(token.secret, shown)]
        if not found:
            raise Refusal(401, "UNAUTHORIZED", "log in with a token of this gateway", _CHALLENGE)
        return Visitor(self, is_read_only=found[0].is_read_only)


@dataclass(frozen=True, slots=True)
class Visitor:
    """A client that was let in."""

    access: Access
    is_read_only: bool = False
    """Whether its token is."""

    def check_push(self, repository: str, tag: str | None = None) -> None:
        """Raise Refusal unless this may be pushed; without a tag, unless any tag may."""
        patterns = self.access.patterns
        if self.access.is_read_only:
            raise Refusal(403, "DENIED", "this gateway is read-only: it only lets you pull")
        if self.is_read_only:
            raise Refusal(403, "DENIED", "your token is read-only: it only lets you pull")
        if not any(_matches(pattern, repository, tag) for pattern in patterns):
            target = repository if tag is None else f"{repository}:{tag}"
            allowed = ", ".join(patterns)
            raise Refusal(403, "DENIED", f"{target} may not be pushed to; allowed: {allowed}")

    def check_delete(self, repository: str, tag: str | None = None) -> None:
        """Raise Refusal unless this may be deleted."""
        self.check_push(repository, tag)
        if not self.access.may_delete:
            raise Refusal(405, "UNSUPPORTED", "nothing is deleted here without --allow-delete")


def _matches(pattern: str, repository: str, tag: str | None) -> bool:
    wanted, colon, tags = pattern.partition(":")
    if not fnmatchcase(repository, wanted):
        return False
    return tag is None or not colon or fnmatchcase(tag, tags)


def _secret(authorization: str) -> bytes:
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip().encode()
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
    except (ValueError, binascii.Error):
        return b""
