"""The tokens that a gateway lets in, and the file that they stand in."""

from __future__ import annotations

import itertools
import logging
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

READ_ONLY = "read-only"
_BYTE_ORDER_MARK = "\ufeff"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What a client shows: as the password of whatever user, or as a bearer."""

    secret: bytes
    is_read_only: bool = False


def read_token_file(path: Path) -> tuple[Token, ...]:
    """Read the tokens of a file in UTF-8, and warn when others can read it too.

    Raises InvalidInputError, which names the file and the line and never what stands there.
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
        # Without a cause: that would have the tokens in it.
        raise InvalidInputError(
            f"{path}: line {line}: not UTF-8; write a token a line, in letters and digits"
        ) from None
    try:
        return read_tokens(text.removeprefix(_BYTE_ORDER_MARK).split("\n"))
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from None


def read_tokens(lines: Iterable[str]) -> tuple[Token, ...]:
    """Read a token a line, with `read-only` behind those that may not push.

    A word that begins with `#` begins a comment. Raises InvalidInputError, also where none is.
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
