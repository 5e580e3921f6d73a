"""Who may do what, and the tokens that clients present."""

from __future__ import annotations

import base64
import binascii
import hmac
import itertools
import logging
import os
import stat
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from cachexport.errors import InvalidInputError
from cachexport.gateway.http.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


READ_ONLY = "read-only"
_BYTE_ORDER_MARK = "\ufeff"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A secret that a client presents: as the password of any user, or as a bearer token."""

    secret: bytes
    is_read_only: bool = False


def read_token_file(path: Path) -> tuple[Token, ...]:
    """Read the tokens of a file in UTF-8, and warn when other users can read it too.

    Raises InvalidInputError, which names the file and the line but never quotes it.
    """
    try:
        with path.open("rb") as file:
            _warn(path, os.fstat(file.fileno()))
            raw = file.read()
    except OSError as error:
        raise InvalidInputError(f"cannot read the tokens in {path}: {error.strerror}") from error
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        # Without its cause, which has the tokens in it.
        raise InvalidInputError(
            f"{path}: line {line}: not UTF-8; write a token a line, in letters and digits"
        ) from None
    try:
        return read_tokens(text.removeprefix(_BYTE_ORDER_MARK).split("\n"))
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from None


def read_tokens(lines: Iterable[str]) -> tuple[Token, ...]:
    """Read one token a line; `read-only` behind it says that it may not push.

    A word that begins with `#` begins a comment. Raises InvalidInputError for a bad line, and when
    there is no token at all.
    """
    found: list[Token] = []
    for number, line in enumerate(lines, 1):
        words = list(itertools.takewhile(_is_no_comment, line.split()))
        if words:
            found.append(_token(words, number))
    if not found:
        raise InvalidInputError("there is no token; write one a line")
    return tuple(found)


def _is_no_comment(word: str) -> bool:
    return not word.startswith("#")


def _token(words: list[str], number: int) -> Token:
    secret, *rest = words
    if rest not in ([], [READ_ONLY]):
        raise InvalidInputError(
            f"line {number}: behind a token stands {READ_ONLY} or nothing; write one a line"
        )
    return Token(secret=secret.encode(), is_read_only=bool(rest))


def _warn(path: Path, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode) and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        _log.warning("others can read the tokens in %s; chmod 600 it", path)


_CHALLENGE = {"WWW-Authenticate": 'Basic realm="cachexport"'}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The rules of a gateway. Without tokens it lets everybody in."""

    tokens: tuple[Token, ...] | None = None
    is_read_only: bool = False
    patterns: tuple[str, ...] = ("*",)
    """Shell patterns of the `repository` or `repository:tag` that may be pushed to."""
    may_delete: bool = False

    def visitor(self, authorization: str) -> Visitor:
        """Give the visitor of an Authorization header. Raises Refusal for an unknown token."""
        if self.tokens is None:
            return Visitor(self)
        shown = _secret(authorization)
        # Every token is compared, in constant time: the time it takes reveals nothing.
        found = [token for token in self.tokens if hmac.compare_digest(token.secret, shown)]
        if not found:
            raise Refusal(401, "UNAUTHORIZED", "log in with a token of this gateway", _CHALLENGE)
        return Visitor(self, is_read_only=found[0].is_read_only)


@dataclass(frozen=True, slots=True)
class Visitor:
    """A client with its rights."""

    access: Access
    is_read_only: bool = False
    """Whether its token is read-only."""

    def check_push(self, repository: str, tag: str | None = None) -> None:
        """Raise Refusal unless the tag may be pushed; without one, unless some tag may."""
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
        """Raise Refusal unless the tag may be deleted; without one, unless some tag may."""
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
