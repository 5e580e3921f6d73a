"""Caches in a store whose names are elsewhere, but whose blobs may be among ours."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from cachexport.backends.objects.assigned import is_assigned, needed_elsewhere
from cachexport.backends.objects.load import load_needs
from cachexport.contract.reading import METADATA_LIMIT
from cachexport.errors import FailedPrecondition, InvalidDigest, NotFound
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Set

    from cachexport.backends.objects.blobs import Blobs
    from cachexport.backends.objects.client import Stored

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
