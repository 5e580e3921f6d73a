"""A store of objects, as the object layout needs it."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from random import Random
from threading import Event
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from cachexport.backends.objects.client import ABSENT
from cachexport.backends.objects.layout import Blobs, Keys, find_stored, pages
from cachexport.backends.objects.names import load_named
from cachexport.backends.objects.target import ObjectTarget
from cachexport.content.clock import clock
from cachexport.contract.export import CommonExport
from cachexport.errors import BackendError, CachexportError, NotFound, Outdated
from cachexport.oci.digest import Digest
from cachexport.testing.faults import Fault, Faults, FaultyObjects
from cachexport.testing.samples import small_cache
from cachexport.transfer.write import write

if TYPE_CHECKING:
    from cachexport.backends.objects.client import ObjectClient

_ODD = ["a", "a/b", "a/b/c", "a-b", "a.b", "a+b", "a1", "ü%41", "sha256:00ff", "x y"]
_LARGE = 20 << 20
_CLOCK = 300.0
"""Seconds by which the clock of a store may differ from ours in a test."""


def _read(client: ObjectClient, key: str, start: int = 0) -> bytes:
    with closing(client.read(key, start=start)) as reader:
        return b"".join(iter(lambda: reader.read(100_000), b""))


def _listed(client: ObjectClient, prefix: str) -> list[str]:
    return [stored.key for page in pages(client, prefix) for stored in page]


class ObjectClientSuite:
    """An ObjectClient. A subclass gives the fixture `client`.

    `swaps` says whether conditions are kept, `touches` whether objects can be made young, and
    `page_size` how many objects a listing has at most, if that can be few enough for a test.
    """

    swaps = True
    touches = True
    page_size: int | None = None

    @pytest.fixture
    def client(self) -> ObjectClient:
        """Give a client of a store; only this test uses keys below `prefix`."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `client`")

    @pytest.fixture
    def prefix(self) -> str:
        """Give the prefix of all keys of the test, which no other test uses."""
        return f"suite-{uuid4().hex}/"

    def test_an_object_comes_back_with_what_is_beside_it(
        self, client: ObjectClient, prefix: str
    ) -> None:
        key = f"{prefix}manifests/main"
        version = client.replace(key, b"some", {"cachexport-manifest": "sha256:ab"}, version=None)
        raw, stored = client.load(key)
        assert (raw, stored.key, stored.size, stored.version) == (b"some", key, 4, version)
        assert stored.metadata["cachexport-manifest"] == "sha256:ab"
        assert stored.modified is None or abs(stored.modified - clock().now()) < _CLOCK
        assert abs(client.now() - clock().now()) < _CLOCK
        looked = client.head(key)
        assert (looked.key, looked.size, looked.version) == (key, 4, version)
        assert looked.metadata == stored.metadata
        [listed] = client.list_page(prefix).objects
        assert (listed.key, listed.size, listed.version) == (key, 4, version)
        assert listed.modified == stored.modified

    def test_what_is_not_there_is_not_found(self, client: ObjectClient, prefix: str) -> None:
        key = f"{prefix}nothing"
        for ask in (client.head, client.load, lambda key: _read(client, key)):
            with pytest.raises(NotFound, match="nothing"):
                ask(key)
        assert client.list_page(key).objects == ()

    @pytest.mark.parametrize("size", [0, 1, 100_000, _LARGE])
    def test_a_stream_is_stored_whole(self, client: ObjectClient, prefix: str, size: int) -> None:
        raw = Random(1).randbytes(size)  # noqa: S311 - no secret
        key = f"{prefix}blobs/one"
        client.write(key, io.BytesIO(raw), size)
        assert client.head(key).size == size
        assert _read(client, key) == raw
        for start in {0, size // 3, max(size - 1, 0)}:
            assert _read(client, key, start) == raw[start:]

    def test_a_stream_replaces_what_was_there(self, client: ObjectClient, prefix: str) -> None:
        for raw in (b"first", b"second one"):
            client.write(f"{prefix}x", io.BytesIO(raw), len(raw))
            assert _read(client, f"{prefix}x") == raw

    @pytest.mark.parametrize("size", [10, _LARGE])
    def test_a_stream_that_breaks_leaves_nothing(
        self, client: ObjectClient, prefix: str, size: int
    ) -> None:
        broken = Faults([Fault(op="write", cut=size - 1, error=OSError("the line is dead"))])
        faulty = FaultyObjects(client, broken)
        with pytest.raises((OSError, CachexportError)):
            faulty.write(f"{prefix}x", io.BytesIO(bytes(size)), size)
        assert _listed(client, prefix) == []

    def test_listings_have_all_and_nothing_else(self, client: ObjectClient, prefix: str) -> None:
        for name in _ODD:
            client.replace(f"{prefix}in/{name}", name.encode(), {}, version=None)
        client.replace(f"{prefix}out", b"", {}, version=None)
        assert sorted(_listed(client, f"{prefix}in/")) == sorted(f"{prefix}in/{x}" for x in _ODD)
        assert len(_listed(client, prefix)) == len(_ODD) + 1
        for name in _ODD:
            assert client.load(f"{prefix}in/{name}")[0] == name.encode()

    def test_a_listing_goes_on_after_a_key(self, client: ObjectClient, prefix: str) -> None:
        keys = [f"{prefix}blobs/{Digest.of(b'%d' % number)}" for number in range(8)]
        for key in keys:
            client.replace(key, b"x", {}, version=None)
        keys.sort()
        page = client.list_page(f"{prefix}blobs/", after=keys[3])
        assert [stored.key for stored in page.objects][:1] == keys[4:5]
        assert set(find_stored(client, f"{prefix}blobs/", keys)) == set(keys)

    def test_pages_miss_nothing(self, client: ObjectClient, prefix: str) -> None:
        if self.page_size is None:
            pytest.skip("a page is too large here")
        count = 2 * self.page_size + 1
        keys = [f"{prefix}{number:05d}" for number in range(count)]
        for key in keys:
            client.replace(key, b"x", {}, version=None)
        first = client.list_page(prefix)
        assert (len(first.objects), first.is_last) == (self.page_size, False)
        assert _listed(client, prefix) == keys

    def test_a_condition_is_kept(self, client: ObjectClient, prefix: str) -> None:
        if not self.swaps:
            pytest.skip("conditions are not kept here")
        key = f"{prefix}main"
        one = client.replace(key, b"one", {}, version=ABSENT)
        with pytest.raises(Outdated):
            client.replace(key, b"other", {}, version=ABSENT)
        two = client.replace(key, b"two", {}, version=one)
        assert two != one
        with pytest.raises(Outdated):
            client.replace(key, b"other", {}, version=one)
        with pytest.raises(Outdated):
            client.delete(key, version=one)
        assert client.load(key)[0] == b"two"
        client.delete(key, version=two)
        with pytest.raises(Outdated):
            client.replace(key, b"other", {}, version=two)
        with pytest.raises(NotFound):
            client.head(key)

    @pytest.mark.parametrize("begin", ["absent", "there"])
    def test_one_of_many_wins(self, client: ObjectClient, prefix: str, begin: str) -> None:
        if not self.swaps:
            pytest.skip("conditions are not kept here")
        key, won = f"{prefix}main", []
        version = ABSENT if begin == "absent" else client.replace(key, b"0", {}, version=None)

        def attempt(number: int) -> None:
            with suppress(Outdated):
                client.replace(key, b"by %d" % number, {}, version=version)
                won.append(number)

        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(attempt, number) for number in range(8)]:
                done.result()
        assert len(won) == 1
        assert client.load(key)[0] == b"by %d" % won[0]

    def test_touching_makes_young_and_keeps_the_rest(
        self, client: ObjectClient, prefix: str
    ) -> None:
        if not self.touches:
            pytest.skip("nothing can be made young here")
        key = f"{prefix}main"
        client.replace(key, b"some", {"cachexport-manifest": "sha256:ab"}, version=None)
        [before] = client.list_page(prefix).objects
        deadline = clock().monotonic() + 10
        now = before
        while (now.modified or 0) <= (before.modified or 0):  # some count in seconds
            assert clock().monotonic() < deadline
            Event().wait(0.1)
            version = client.touch(now)
            [now] = client.list_page(prefix).objects
            assert now.version == version
        raw, stored = client.load(key)
        assert (raw, stored.version) == (b"some", version)
        assert stored.metadata["cachexport-manifest"] == "sha256:ab"

    def test_touching_what_is_gone_says_so(self, client: ObjectClient, prefix: str) -> None:
        if not self.touches:
            pytest.skip("nothing can be made young here")
        client.replace(f"{prefix}x", b"x", {}, version=None)
        [stored] = client.list_page(prefix).objects
        client.delete(f"{prefix}x")
        with pytest.raises(NotFound):
            client.touch(stored)

    def test_deleting_takes_what_is_there(self, client: ObjectClient, prefix: str) -> None:
        keys = [f"{prefix}{number}" for number in range(5)]
        for key in keys:
            client.replace(key, b"x", {}, version=None)
        client.delete(keys[0])
        client.delete(keys[0])
        client.delete_all([*keys[:3], f"{prefix}nothing"])
        assert _listed(client, prefix) == keys[3:]
        client.delete_all([])

    def test_what_a_store_refuses_is_an_error_of_ours(
        self, client: ObjectClient, prefix: str
    ) -> None:
        keys = Keys(blobs=f"{prefix}blobs/", names=f"{prefix}manifests/")
        for op in ("list_page", "write", "replace"):
            refused = BackendError("refused", op=op)
            faulty = FaultyObjects(client, Faults([Fault(op=op, error=refused)]))
            blobs = Blobs(client=faulty, keys=keys)
            target = ObjectTarget(CommonExport(), blobs, "main", force=False)
            with pytest.raises(CachexportError, match="refused"):
                write(small_cache(1, 2, 3), target)
            with pytest.raises(NotFound):
                client.head(keys.name("main"))
        blobs = Blobs(client=client, keys=keys)
        write(small_cache(1, 2, 3), ObjectTarget(CommonExport(), blobs, "main", force=False))
        cache, _ = load_named(blobs, keys.name("main"))
        assert len(cache.layers) == 3

    def test_closing_twice_is_fine(self, client: ObjectClient) -> None:
        client.close()
        client.close()
