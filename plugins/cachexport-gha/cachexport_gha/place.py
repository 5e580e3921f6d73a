"""All caches that a token can see, and the blobs of the branch that it writes to."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.errors import FailedPrecondition
from cachexport.plugin import Entry, ListedPlace, ObjectPlace, StoredBlob
from cachexport_gha.keys import IMAGES, INDEXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cachexport.plugin import Digest, Place, Stored
    from cachexport_gha.client import GhaClient
    from cachexport_gha.keys import GhaKeys
    from cachexport_gha.token import Token


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedGhaPlace(ListedPlace):
    """See Place. Without a token for GitHub's API each use of it says what it lacks."""

    names: GhaKeys

    def _entry(self, stored: Stored) -> Entry:
        return _entry(self.names, stored)


@dataclass(frozen=True, slots=True, kw_only=True)
class GhaPlace(ObjectPlace):
    """See Place and Sweepable."""

    client: GhaClient
    names: GhaKeys
    token: Token

    def strays(self, beside: Sequence[Place], /) -> Iterable[Mapping[Digest, int]]:
        """See Sweepable.

        Raises FailedPrecondition where a branch that the token cannot read has a cache: its builds
        may use blobs of this branch, and nobody here can tell which.
        """
        readable = self.token.scopes
        named = itertools.chain(self.client.listed(INDEXES), self.client.listed(IMAGES))
        others = {item.ref for item in named if item.ref not in readable}
        if others:
            raise FailedPrecondition(
                f"{self.title}: there are caches of {', '.join(sorted(others))}, which this job "
                "cannot read, and may use blobs of this branch; nothing is deleted. Delete those "
                "caches first, as when the branches are gone, or leave it to GitHub"
            )
        return ()

    def _entry(self, stored: Stored) -> Entry:
        return _entry(self.names, stored)

    def _blob(self, stored: Stored) -> StoredBlob | None:
        if stored.metadata.get("ref") != self.token.writes:
            return None
        return super(GhaPlace, self)._blob(stored)


def _entry(keys: GhaKeys, stored: Stored) -> Entry:
    name = keys.name_of(stored.key)
    return Entry(name=name, version=stored.version, modified=stored.modified)
