"""What the runner's token says: in which branches may be read, and in which written."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import jwt

from cachexport.errors import InvalidAttr

_WRITE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token, which is never shown."""

    text: str = field(repr=False)
    scopes: tuple[str, ...]
    """GitHub's scopes, in the order in which they are looked through."""
    writes: str
    """The one that is written to; empty where nothing may be."""


def read_token(text: str) -> Token:
    """Read a token without checking it, which is GitHub's to do. Raises InvalidAttr."""
    try:
        claims: Any = jwt.decode(text, options={"verify_signature": False})
        access = [(str(one["Scope"]), int(one["Permission"])) for one in json.loads(claims["ac"])]
    except (jwt.PyJWTError, ValueError, KeyError, TypeError) as error:
        raise InvalidAttr(
            "token", "that is no token of a runner; it is $ACTIONS_RUNTIME_TOKEN in a job"
        ) from error
    # Of several BuildKit takes the last one.
    writes = [scope for scope, permission in access if permission & _WRITE]
    return Token(
        text=text,
        scopes=tuple(dict.fromkeys(scope for scope, _ in access)),
        writes=writes[-1] if writes else "",
    )
