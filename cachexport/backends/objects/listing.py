"""Finding out which of many blobs are there, with as few requests as can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.content.parallel import map_parallel
from cachexport.errors import FailedPrecondition, NotFound

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from cachexport.backends.objects.client import ObjectClient, Stored

_DIGITS = 12
"""Hexadecimal digits of a digest that tell well enough where in the order it is."""
_FEW = 2
"""So many blobs are asked for one by one without a look at a listing."""


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
