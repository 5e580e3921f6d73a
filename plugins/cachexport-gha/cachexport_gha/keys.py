"""Keys of the service, as BuildKit spells them.

A blob has one of its own. An index, which is what a scope of ours stands for, is saved anew under
a number that counts up, since what was saved never changes: `index-buildkit-1-0a1b2c3d#7`. The
eight digits tell GitHub's own scope, a branch, in which it was saved.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from cachexport.plugin import Keys

BLOBS, INDEXES = "buildkit-blob-1-", "index-"
IMAGES = "cachexport/images/"
"""What the names of images begin with that a gateway was given; BuildKit knows no such thing."""
VERSION = hashlib.sha256(b"|go-actionscache-1.0").hexdigest()
"""What all requests of BuildKit say, and what is saved with another one is not found by it."""
_NAMED = re.compile(r"(.+)@([0-9a-f]{8})")
_INDEX = re.compile(r"index-(.+)-1-([0-9a-f]{8})")


def mark(scope: str) -> str:
    """Give the eight digits for a scope of GitHub's, such as `refs/heads/main`."""
    return hashlib.sha256(scope.encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True, kw_only=True)
class GhaKeys(Keys):
    """A name is a scope of ours; with `@` and eight digits it is that of another branch."""

    own: str
    """The digits of the branch that is written to."""

    def name(self, name: str) -> str:
        """Give the key of a name, without its number."""
        found = _NAMED.fullmatch(name)
        scope, digits = (found[1], found[2]) if found else (name, self.own)
        return f"{INDEXES}{scope}-1-{digits}"

    def name_of(self, key: str) -> str:
        """Give the name that has a key; the key itself for one that is none of an index."""
        found = _INDEX.fullmatch(key)
        if found is None:
            return key
        return found[1] if found[2] == self.own else f"{found[1]}@{found[2]}"


def numbered(key: str) -> tuple[str, int]:
    """Part the key of an index from its number; that is 0 where there is none."""
    base, _, number = key.rpartition("#")
    is_number = number.isdecimal() and len(number) < 19
    return (base, int(number)) if base and is_number else (key, 0)


def as_key(value: Any) -> str:
    """Give what a service says a key is. Anything but text is none."""
    return value if isinstance(value, str) else ""
