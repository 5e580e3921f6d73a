"""Where in a store the blobs and the names are."""

from __future__ import annotations

from dataclasses import dataclass

from cachexport.errors import InvalidDigest
from cachexport.oci.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What the keys of all blobs and of all names begin with."""

    blobs: str
    names: str

    def blob(self, digest: Digest) -> str:
        """Give the key of a blob: the digest as a whole, its algorithm included."""
        return self.blobs + digest

    def name(self, name: str) -> str:
        """Give the key of a name."""
        return self.names + name

    def digest(self, key: str) -> Digest | None:
        """Give the digest that a blob's key has; None for a key that is none of a blob."""
        try:
            return (
                Digest.parse(key.removeprefix(self.blobs)) if key.startswith(self.blobs) else None
            )
        except InvalidDigest:
            return None
