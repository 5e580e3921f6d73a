"""Where in a store the blobs are: their keys, which of them are there, reading and writing them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.clock import clock
from cachexport.content.parallel import map_parallel
from cachexport.content.protocols import Info
from cachexport.errors import FailedPrecondition, InvalidDigest, NotFound
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from cachexport.backends.objects.client import ObjectClient, Stored
    from cachexport.content.protocols import Reader
    from cachexport.oci.descriptor import Descriptor


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


_DIGITS = 12
"""Hexadecimal digits of a digest that are enough to estimate its place in the order."""
_FEW = 2
"""Up to so many blobs are asked for one by one, without a listing."""


def find_stored(client: ObjectClient, prefix: str, keys: Collection[str]) -> dict[str, Stored]:
    """Describe those of the keys, all beginning with `prefix`, that are there.

    A store lists many objects with one request but may have any number of them. Digests are
    spread evenly, so the first page tells how many pages there are: the rest is listed or asked
    for one by one, whichever takes fewer requests. So is all in a store that cannot be listed.
    """
    found: dict[str, Stored] = {}
    left = sorted(keys)
    after = left[0][:-1] if left else ""  # what comes before all that is wanted
    pages = 0.0
    while len(left) > max(pages, _FEW):
        try:
            page = client.list_page(prefix, after=after)
        except FailedPrecondition:
            break
        found |= {item.key: item for item in page.objects if item.key in keys}
        if page.is_last or not page.objects:
            return found
        last = page.objects[-1].key
        left = [key for key in left if key > last]
        pages = _pages_left(prefix, after, last, left)
        after = last
    return found | ask_each(client, left)


def pages(client: ObjectClient, prefix: str) -> Iterator[tuple[Stored, ...]]:
    """List all objects whose keys begin with `prefix`, as much at once as the store gives."""
    page = client.list_page(prefix)
    yield page.objects
    while not page.is_last:
        page = client.list_page(prefix, following=page.following)
        yield page.objects


def ask_each(client: ObjectClient, keys: Iterable[str]) -> dict[str, Stored]:
    """Describe those of the keys that are there, with a request for each."""

    def head(key: str) -> Stored | None:
        try:
            return client.head(key)
        except NotFound:
            return None

    answers = map_parallel(head, keys, client.parallelism)
    return {item.key: item for item in answers if item is not None}


def _pages_left(prefix: str, first: str, last: str, left: list[str]) -> float:
    """Say how many more pages it takes to the end of `left` if each is like the one before."""
    if not left:
        return 0.0
    begin, end = _place(prefix, first), _place(prefix, last)
    return (_place(prefix, left[-1]) - end) / max(end - begin, 16.0**-_DIGITS)


def _place(prefix: str, key: str) -> float:
    """Say where in the order of digests a key is, from 0 to 1."""
    _, _, encoded = key.removeprefix(prefix).partition(":")
    digits = encoded[:_DIGITS].ljust(_DIGITS, "0")
    try:
        return float(int(digits, 16)) / 16.0**_DIGITS
    except ValueError:
        return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobState:
    """Which of the blobs that an export needs are in the store."""

    missing: set[Digest]
    touched: frozenset[str]
    """The keys of blobs that were old and have just been touched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blobs:
    """Provider, InfoProvider and Ingester over the blobs of a store."""

    client: ObjectClient
    keys: Keys
    touch_refresh: float = 24 * 3600.0
    """Seconds of age from which a blob that is used again is touched, so as not to expire."""

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
        """See Ingester. Touches old blobs; one of another size counts as missing."""
        return self.look(descs).missing

    def look(self, descs: Iterable[Descriptor]) -> BlobState:
        """Find out which of these are there, and touch old ones. One of another size is missing."""
        wanted = {self.keys.blob(desc.digest): desc for desc in descs}
        stored = find_stored(self.client, self.keys.blobs, wanted)
        there = [found for key, found in stored.items() if found.size == wanted[key].size]
        old = [found for found in there if self._is_due(found)]
        gone = map_parallel(self._is_gone_when_touched, old, self.client.parallelism)
        expired = {found.key for found, is_gone in zip(old, gone, strict=True) if is_gone}
        kept = {found.key for found in there} - expired
        return BlobState(
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
        return stored.modified is not None and stored.modified < clock().now() - self.touch_refresh

    def _is_gone_when_touched(self, stored: Stored) -> bool:
        try:
            self.client.touch(stored)
        except NotFound:
            return True  # it expired just now
        return False
