"""Who may do what in a registry."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass

import bcrypt

EVERYTHING = frozenset({"pull", "push", "delete", "*"})
READING = frozenset({"pull"})


@dataclass(frozen=True)
class Login:
    """A name with its password; `identity_token`, if any, stands for both at a token server.

    What may be done with it (`actions`) only a token server cares about.
    """

    name: str
    password: str
    actions: frozenset[str] = EVERYTHING
    identity_token: str | None = None

    @property
    def basic(self) -> str:
        """Give the value of an Authorization header."""
        return "Basic " + b64encode(f"{self.name}:{self.password}".encode()).decode()

    @property
    def htpasswd(self) -> str:
        secret = bcrypt.hashpw(self.password.encode(), bcrypt.gensalt(rounds=4))
        return f"{self.name}:{secret.decode()}\n"


ALICE = Login("alice", "open:sesame", identity_token="alice-identity")
READER = Login("reader", "looks-only", READING)


def decode_basic(header: str) -> tuple[str, str] | None:
    """Give name and password; None when the header is none of this kind."""
    kind, _, value = header.partition(" ")
    if kind.lower() != "basic":
        return None
    name, _, password = b64decode(value).decode().partition(":")
    return name, password
