"""The blobs of a store: which are there, reading and writing them."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cachexport.backends.objects.listing import find_stored
from cachexport.content.parallel import map_parallel
from cachexport.content.protocols import Info
from cachexport.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cachexport.backends.objects.client import ObjectClient, Stored
    from cachexport.backends.objects.keys import Keys
    from cachexport.content.protocols import Reader
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was found of blobs that an export needs."""

    missing: set[Digest]
    touched: frozenset[str]
    """The keys of those that were old and are young now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blobs:
    """Provider, InfoProvider and Ingester over the blobs of a store."""

    client: ObjectClient
    keys: Keys
    touch_refresh: float = 24 * 3600.0
    """Seconds after which a blob that is used again is touched, to keep expiry away from it."""
    now: Callable[[], float] = field(default=time.time)
    """Gives seconds since 1970."""
    monotonic: Callable[[], float] = field(default=time.monotonic)
    sleep: Callable[[float], None] = field(default=time.sleep)

    @property
    def place(self) -> str:
        """See Placed."""
        return self.client.place

    def open(self, desc: Descriptor, /) -> Reader:
        """See Provider."""
        return self.client.read(self.keys.blob(desc.digest))

    def open_from(self, desc: Descriptor, start: int, /) -> Reader:
        """See RangedProvider."""
        return self.client.read(self.keys.blob(desc.digest), start=start)

    def info(self, digest: Digest, /) -> Info:
        """See InfoProvider."""
        return Info(digest, self.client.head(self.keys.blob(digest)).size)

    def sizes(self, digests: Iterable[Digest], /) -> dict[Digest, int]:
        """See SizeProvider."""
        wanted = {self.keys.blob(digest): digest for digest in digests}
        stored = find_stored(self.client, self.keys.blobs, wanted)
        return {wanted[key]: found.size for key, found in stored.items()}

    def missing(self, descs: Iterable[Descriptor], /) -> set[Digest]:
        """See Ingester. Old ones that are there are touched; one of another size is missing."""
        return self.look(descs).missing

    def look(self, descs: Iterable[Descriptor]) -> Looked:
        """Look which of these are there, touching old ones; one of another size is missing."""
        wanted = {self.keys.blob(desc.digest): desc for desc in descs}
        stored = find_stored(self.client, self.keys.blobs, wanted)
        there = [found for key, found in stored.items() if found.size == wanted[key].size]
        old = [found for found in there if self._is_due(found)]
        gone = map_parallel(self._is_gone_when_touched, old, self.client.parallelism)
        expired = {found.key for found, is_gone in zip(old, gone, strict=True) if is_gone}
        kept = {found.key for found in there} - expired
        return Looked(
            missing={desc.digest for key, desc in wanted.items() if key not in kept},
            touched=frozenset(found.key for found in old) - expired,
        )

    def keep(self, stored: Stored) -> str:
        """Touch an object that is used again if it is old enough to expire; give its version."""
        if not self._is_due(stored):
            return stored.version
        try:
            return self.client.touch(stored)
        except NotFound:
            return stored.version  # it expired just now, which its writing will show

    def ingest(self, desc: Descriptor, reader: Reader, /) -> None:
        """See Ingester."""
        self.client.write(self.keys.blob(desc.digest), reader, desc.size)

    def _is_due(self, stored: Stored) -> bool:
        return stored.modified is not None and stored.modified < self.now() - self.touch_refresh

    def _is_gone_when_touched(self, stored: Stored) -> bool:
        try:
            self.client.touch(stored)
        except NotFound:
            return True  # it expired just now
        return False
