"""As few requests as can be, whatever the bucket's size."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from cachexport.backends.objects.layout import find_stored
from cachexport.errors import FailedPrecondition
from cachexport.testing.memory import MemoryObjects

if TYPE_CHECKING:
    from cachexport.backends.objects.client import Page

PREFIX = "blobs/"


def key(number: int) -> str:
    return f"{PREFIX}sha256:{hashlib.sha256(b'%d' % number).hexdigest()}"


def store(count: int, page_size: int = 1000) -> MemoryObjects:
    client = MemoryObjects(page_size=page_size)
    for number in range(count):
        client.replace(key(number), b"x", {}, version=None)
    for stranger in ("a", "zzz"):
        client.replace(stranger, b"", {}, version=None)
    client.asked.clear()
    return client


@pytest.mark.parametrize(
    ("stored", "wanted", "most"),
    [
        (0, 600, 1),
        (600, 600, 1),
        (999, 1, 1),
        (999, 2, 2),
        (990, 500, 1),
        (5_000, 5_000, 6),
        (5_000, 600, 6),
        (20_000, 10, 11),
        (20_000, 600, 22),
    ],
)
def test_it_takes_few_requests(stored: int, wanted: int, most: int) -> None:
    client = store(stored)
    keys = [key(number) for number in range(stored - wanted // 2, stored - wanted // 2 + wanted)]
    found = find_stored(client, PREFIX, keys)
    assert set(found) == {k for k in keys if k in client.objects}
    assert client.asked.total() <= most
    assert all(item.key == k for k, item in found.items())


def test_a_huge_bucket_is_not_listed() -> None:
    client = store(3_000, page_size=10)
    find_stored(client, PREFIX, [key(number) for number in range(40)])
    assert client.asked["list"] == 1
    assert client.asked["head"] <= 40


def test_nothing_wanted_is_nothing_asked() -> None:
    client = store(10)
    assert find_stored(client, PREFIX, []) == {}
    assert not client.asked


def test_keys_that_are_no_digests_do_no_harm() -> None:
    client = store(100, page_size=7)
    client.replace(f"{PREFIX}sha256:not hex", b"", {}, version=None)
    client.replace(f"{PREFIX}other", b"", {}, version=None)
    keys = [key(number) for number in range(0, 200, 3)]
    assert set(find_stored(client, PREFIX, keys)) == {k for k in keys if k in client.objects}


def test_each_is_asked_for_where_nothing_can_be_listed() -> None:
    class Unlisted(MemoryObjects):
        def list_page(self, prefix: str, /, *, after: str = "", following: str = "") -> Page:
            raise FailedPrecondition("not with this login")

    client = Unlisted()
    for number in range(5):
        client.replace(key(number), b"x", {}, version=None)
    found = find_stored(client, PREFIX, {key(number) for number in range(10)})
    assert found.keys() == {key(number) for number in range(5)}
