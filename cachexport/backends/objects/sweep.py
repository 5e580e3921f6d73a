"""How a sweep and an export keep out of each other's way in a store that has no locks.

A sweep lists a page of blobs and deletes the old ones of it that no name needs. An export that
needs such a blob touches it; but if it does so between the listing and the deletion it touches
in vain. So the sweep sends the deletion at most `AT_MOST` seconds after it began to list, or
lists again; where a store lists all at once, however much that is, it looks at the doomed ones
again instead, at no more than it can delete by then. And the export looks at what it touched once
more when `SETTLED` seconds have gone by since, before it names anything: by then the deletion has
been done, or it was not sent at all.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from cachexport.backends.objects.images import is_assigned, needed_elsewhere
from cachexport.backends.objects.layout import ask_each, find_stored
from cachexport.backends.objects.names import load_needs
from cachexport.content.clock import clock
from cachexport.content.parallel import map_parallel
from cachexport.contract.reading import METADATA_LIMIT
from cachexport.errors import FailedPrecondition, InvalidDigest, NotFound, Outdated, Unavailable
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Set

    from cachexport.backends.objects.client import Stored
    from cachexport.backends.objects.layout import Blobs
    from cachexport.content.protocols import Reader
    from cachexport.oci.descriptor import Descriptor


AT_MOST = 2.0
SETTLED = 5.0
_BATCH = 100
"""How many blobs one request deletes; as many requests as go best lie between two looks at the
clock."""
_PAGE = 5000
"""How many objects a listing has at most in a store that lists page by page."""
_IN_VAIN = 30
"""How often a page is listed before the sweep is given up: each time some of it goes."""


class Touched:
    """The old blobs that an export has touched and counts on."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._keys: set[str] = set()
        self._at = 0.0

    def add(self, keys: frozenset[str]) -> None:
        """Count on blobs that were touched just now."""
        if keys:
            self._keys |= keys
            self._at = clock().monotonic()

    def settle(self) -> None:
        """Wait until no sweep can delete them any more. Raises Outdated when one has."""
        keys, self._keys = self._keys, set()
        if not keys:
            return
        blobs = self._blobs
        clock().sleep(max(0.0, self._at + SETTLED - clock().monotonic()))
        there = find_stored(blobs.client, blobs.keys.blobs, keys)
        if len(there) < len(keys):
            raise Outdated(f"{blobs.client.place}: blobs were pruned just as they were needed")


class Settling:
    """An Ingester that keeps in mind which old blobs are counted on."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self.touched = Touched(blobs)

    def missing(self, descs: Iterable[Descriptor], /) -> set[Digest]:
        """See Ingester."""
        looked = self._blobs.look(descs)
        self.touched.add(looked.touched)
        return looked.missing

    def ingest(self, desc: Descriptor, reader: Reader, /) -> None:
        """See Ingester."""
        self._blobs.ingest(desc, reader)


class Sweep:
    """Goes through all blobs once, deleting those that are doomed."""

    def __init__(self, blobs: Blobs, is_doomed: Callable[[Stored], bool]) -> None:
        self._blobs = blobs
        self._is_doomed = is_doomed
        self._after = ""
        self._is_done = False

    def run(self) -> Iterator[tuple[Stored, bool]]:
        """Give every blob, and whether it was deleted; goes on only while it is read.

        Raises Unavailable when the store is too slow for this to be safe.
        """
        while not self._is_done:
            gone, left = self._sweep_page()
            yield from ((stored, True) for stored in gone)
            yield from ((stored, False) for stored in left)

    def _sweep_page(self) -> tuple[list[Stored], list[Stored]]:
        """Sweep what one listing gives, listing it again as often as time is up."""
        gone: list[Stored] = []
        for _ in range(_IN_VAIN):
            began = clock().monotonic()
            page = self._blobs.client.list_page(self._blobs.keys.blobs, after=self._after)
            doomed = [stored for stored in page.objects if self._is_doomed(stored)]
            if len(page.objects) > _PAGE:
                doomed = deleted = self._delete_looked_at(doomed)
            else:
                deleted = self._delete(doomed, began + AT_MOST)
            gone += deleted
            if len(deleted) == len(doomed):
                self._is_done = page.is_last or not page.objects
                self._after = page.objects[-1].key if page.objects else ""
                keys = {stored.key for stored in doomed}
                return gone, [stored for stored in page.objects if stored.key not in keys]
        raise self._too_slow()

    def _delete_looked_at(self, doomed: list[Stored]) -> list[Stored]:
        """Delete those that are still doomed when looked at right before, and give them."""
        gone: list[Stored] = []
        at_once = _BATCH * self._blobs.client.parallelism
        for start in range(0, len(doomed), at_once):
            began = clock().monotonic()
            now = ask_each(self._blobs.client, [it.key for it in doomed[start : start + at_once]])
            still = [stored for stored in now.values() if self._is_doomed(stored)]
            deleted = self._delete(still, began + AT_MOST)
            if len(deleted) < len(still):
                raise self._too_slow()
            gone += deleted
        return gone

    def _too_slow(self) -> Unavailable:
        return Unavailable(
            f"{self._blobs.client.place} takes too long to list and delete: an export could come "
            "in between; try again when it is faster"
        )

    def _delete(self, doomed: list[Stored], deadline: float) -> list[Stored]:
        """Delete as many as can be until the deadline, and give those."""
        client = self._blobs.client
        keys = [stored.key for stored in doomed]
        at_once = _BATCH * client.parallelism
        for start in range(0, len(keys), at_once):
            if clock().monotonic() > deadline:
                return doomed[:start]
            end = min(start + at_once, len(keys))
            batches = [keys[at : min(at + _BATCH, end)] for at in range(start, end, _BATCH)]
            map_parallel(client.delete_all, batches, client.parallelism)
        return doomed


_MOST = 1000
"""How many objects that are neither blobs nor names are looked into."""
_BEGINNINGS = (b'{"layers"', b'{"record')
_BLOB = "sha256:"


def other_names(content: Blobs, root: str, known: Set[str]) -> Iterator[Mapping[Digest, int]]:
    """Give the blobs that each cache below `root` needs, but for those that are `known` names.

    `known` are what the keys of these begin with. Raises FailedPrecondition when there is too much
    else to look into, WireFormat for what begins as a cache does and is none.
    """
    number = 0
    for stored in _others(content, root, tuple(known)):
        if is_assigned(stored.key):
            yield needed_elsewhere(content, stored.key)
            continue
        number += 1
        if number > _MOST:
            raise FailedPrecondition(
                f"{content.client.place}/{root} has over {_MOST:,} objects that are neither blobs "
                f"nor names, such as {stored.key!r}: a bucket that is used for other things too; "
                "give the cache a prefix of its own"
            )
        if stored.size <= METADATA_LIMIT and _may_be_cache(content, stored):
            yield load_needs(content, stored.key).sizes


def _others(content: Blobs, root: str, known: tuple[str, ...]) -> Iterator[Stored]:
    """List what is neither a blob nor a name, leaping over blobs, however many there are."""
    after = following = ""
    while True:
        page = content.client.list_page(root, after=after, following=following)
        following = page.following
        for stored in page.objects:
            behind = _behind_blobs(stored.key)
            if behind > after:
                after, following = behind, ""
                break
            if not behind and not stored.key.startswith(known):
                yield stored
        else:
            if page.is_last:
                return


def _behind_blobs(key: str) -> str:
    """Give what comes after all blobs that are where this one is; empty if it is none."""
    folder, prefix, encoded = key.rpartition(_BLOB)
    try:
        Digest.parse(prefix + encoded)
    except InvalidDigest:
        return ""
    return folder + _BLOB[:-1] + chr(ord(_BLOB[-1]) + 1)


def _may_be_cache(content: Blobs, stored: Stored) -> bool:
    try:
        with closing(content.client.read(stored.key)) as reader:
            return reader.read(len(_BEGINNINGS[0])).startswith(_BEGINNINGS)
    except NotFound:
        return False  # it was deleted just now
