"""Digests: the algorithm and the encoded hash of some bytes."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Self

from cachexport.errors import InvalidDigest

if TYPE_CHECKING:
    from hashlib import _Hash

# The algorithms that the OCI image specification registers, with the length of their encoding.
_ENCODED_LENGTH = {"sha256": 64, "sha384": 96, "sha512": 128}
_PATTERN = re.compile(r"(?P<algorithm>[a-z0-9]+(?:[.+_-][a-z0-9]+)*):(?P<encoded>[a-zA-Z0-9=_-]+)")
_LOWER_HEX = re.compile(r"[0-9a-f]+")


class Digest(str):
    """`algorithm:encoded`, as in `sha256:2c26b4…`; checked, so it can be trusted in paths.

    It is a `str`, so it compares, sorts and hashes as its text does. `Digest.parse` and
    `Digest.of` are the only ways to make one.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check `text` and give it back as a digest; InvalidDigest when it is none."""
        if isinstance(text, cls):
            return text
        match = _PATTERN.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise InvalidDigest(f"not a digest: {text!r}")
        length = _ENCODED_LENGTH.get(match["algorithm"])
        if length is None:
            known = ", ".join(_ENCODED_LENGTH)
            raise InvalidDigest(f"unsupported digest algorithm in {text!r} (known: {known})")
        if len(match["encoded"]) != length or _LOWER_HEX.fullmatch(match["encoded"]) is None:
            raise InvalidDigest(f"not a digest: {text!r} (wants {length} lower-case hex digits)")
        return cls(text)

    @classmethod
    def of(cls, raw: bytes) -> Self:
        """Give the SHA-256 digest of `raw`."""
        return cls("sha256:" + hashlib.sha256(raw).hexdigest())

    @classmethod
    def from_hasher(cls, hasher: _Hash) -> Self:
        """Give the digest of what a hash object has read."""
        return cls(f"{hasher.name}:{hasher.hexdigest()}")

    @property
    def algorithm(self) -> str:
        """The name of the hash function, as in `sha256`."""
        return self.partition(":")[0]

    @property
    def encoded(self) -> str:
        """The hash in lower-case hex digits."""
        return self.partition(":")[2]

    def hasher(self) -> _Hash:
        """Give an empty hash object of this digest's algorithm."""
        return hashlib.new(self.algorithm)

    def matches(self, hasher: _Hash) -> bool:
        """Say whether `hasher` has read the bytes that this digest names."""
        return self.encoded == hasher.hexdigest()
