"""How a sweep and an export keep out of each other's way in a store that has no locks.

A sweep lists a page of blobs and deletes those that are old and that no name needs. An export that
needs an old blob touches it. Between the listing and the deletion that would be in vain, so both
go by the clock:

- The sweep sends a deletion at most `DELETE_WITHIN` seconds after it began to list, or lists again.
  Some stores list everything at once, however much that is. There it describes the doomed blobs
  again instead, no more at a time than it can delete in those seconds.
- The export waits until `CONFIRM_AFTER` seconds after its last touch, and then sees whether the
  blobs are there. By then the deletion is done, or was never sent. Only then it writes a name.

A sweep also has to know what caches elsewhere in the store need; see `other_names`.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from cachexport.backends.objects.images import is_image_name, needed_elsewhere
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


DELETE_WITHIN = 2.0
CONFIRM_AFTER = 5.0
_BATCH = 100
"""Blobs that one request deletes. `parallelism` requests go between two looks at the clock."""
_PAGE = 5000
"""Objects in a listing, at most, of a store that lists page by page."""
_LISTINGS = 30
"""How often a page is listed before the sweep gives up. Some of the page goes each time."""


class TouchedBlobs:
    """The old blobs that an export needs and has touched."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._keys: set[str] = set()
        self._at = 0.0

    def add(self, keys: frozenset[str]) -> None:
        """Remember blobs that were touched just now."""
        if keys:
            self._keys |= keys
            self._at = clock().monotonic()

    def confirm(self) -> None:
        """Wait until no sweep can delete them any more. Raises Outdated if one has."""
        keys, self._keys = self._keys, set()
        if not keys:
            return
        blobs = self._blobs
        clock().sleep(max(0.0, self._at + CONFIRM_AFTER - clock().monotonic()))
        there = find_stored(blobs.client, blobs.keys.blobs, keys)
        if len(there) < len(keys):
            raise Outdated(f"{blobs.client.place}: blobs were pruned just as they were needed")


class TouchingIngester:
    """An Ingester that remembers which old blobs it has touched."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self.touched = TouchedBlobs(blobs)

    def missing(self, descs: Iterable[Descriptor], /) -> set[Digest]:
        """See Ingester."""
        looked = self._blobs.look(descs)
        self.touched.add(looked.touched)
        return looked.missing

    def ingest(self, desc: Descriptor, reader: Reader, /) -> None:
        """See Ingester."""
        self._blobs.ingest(desc, reader)


class Sweep:
    """Goes through all blobs once and deletes those that are doomed."""

    def __init__(self, blobs: Blobs, is_doomed: Callable[[Stored], bool]) -> None:
        self._blobs = blobs
        self._is_doomed = is_doomed
        self._after = ""
        self._is_done = False

    def run(self) -> Iterator[tuple[Stored, bool]]:
        """Give every blob, and whether it was deleted. Stops when the caller stops reading.

        Raises Unavailable when the store is too slow for this to be safe.
        """
        while not self._is_done:
            gone, left = self._sweep_page()
            yield from ((stored, True) for stored in gone)
            yield from ((stored, False) for stored in left)

    def _sweep_page(self) -> tuple[list[Stored], list[Stored]]:
        """Sweep the blobs of one listing; list again where time runs out."""
        gone: list[Stored] = []
        for _ in range(_LISTINGS):
            began = clock().monotonic()
            page = self._blobs.client.list_page(self._blobs.keys.blobs, after=self._after)
            doomed = [stored for stored in page.objects if self._is_doomed(stored)]
            if len(page.objects) > _PAGE:
                doomed = deleted = self._delete_looked_at(doomed)
            else:
                deleted = self._delete(doomed, began + DELETE_WITHIN)
            gone += deleted
            if len(deleted) == len(doomed):
                self._is_done = page.is_last or not page.objects
                self._after = page.objects[-1].key if page.objects else ""
                keys = {stored.key for stored in doomed}
                return gone, [stored for stored in page.objects if stored.key not in keys]
        raise self._too_slow()

    def _delete_looked_at(self, doomed: list[Stored]) -> list[Stored]:
        """Describe the doomed blobs again, delete those that still are, and give them."""
        gone: list[Stored] = []
        at_once = _BATCH * self._blobs.client.parallelism
        for start in range(0, len(doomed), at_once):
            began = clock().monotonic()
            now = ask_each(self._blobs.client, [it.key for it in doomed[start : start + at_once]])
            still = [stored for stored in now.values() if self._is_doomed(stored)]
            deleted = self._delete(still, began + DELETE_WITHIN)
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
        """Delete as many as the deadline allows, and give those."""
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
"""Objects, neither blobs nor names, that are read at most to see whether they are caches."""
_BEGINNINGS = (b'{"layers"', b'{"record')
_BLOB = "sha256:"


def other_names(content: Blobs, root: str, known: Set[str]) -> Iterator[Mapping[Digest, int]]:
    """Give the blobs that each cache below `root` needs, with sizes, if its name is not known here.

    Their names are elsewhere, but they may share our blobs. `known` are the prefixes of the keys of
    known names. Raises FailedPrecondition where there are too many other objects to read,
    WireFormat for an object that begins as a cache does and is none.
    """
    number = 0
    for stored in _others(content, root, tuple(known)):
        if is_image_name(stored.key):
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
    """List objects that are neither blobs nor known names; skip a folder of blobs at once."""
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
    """Give a key that comes after all blobs in the folder of this one; empty for no blob."""
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
