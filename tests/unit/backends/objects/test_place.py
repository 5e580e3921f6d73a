"""A store as a place: what is whose, and what a sweep does when it is disturbed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest
from support.object_place import HOUR, KEYS, content, has, place, prune, put

from cachexport import Digest
from cachexport.backends.objects import sweep as others
from cachexport.backends.objects.layout import Keys
from cachexport.contract.place import Entry
from cachexport.errors import FailedPrecondition, Outdated, Unavailable, WireFormat
from cachexport.testing.memory import MemoryObjects
from cachexport.testing.samples import layer
from cachexport.upkeep.prune import Plan, prune_places
from cachexport.upkeep.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachexport.backends.objects.client import Page, Stored


def test_names_are_what_is_no_blob_and_no_folder() -> None:
    client = MemoryObjects()
    keys = Keys(blobs="blobs/", names="")
    put(client, "main", 1, keys=keys)
    client.replace("folder/", b"", {}, version=None)
    assert [entry.name for entry in place(client, keys, "").entries()] == ["main"]


def test_a_name_may_end_as_a_folder_does() -> None:
    client = MemoryObjects()
    put(client, "odd/", 1)
    client.time += 100 * HOUR
    prune(client)
    assert has(client, 1)


@pytest.mark.parametrize(("blobs", "names"), [("", "names/"), ("blobs/", ""), ("", "")])
def test_without_prefixes_of_their_own_nothing_is_deleted(blobs: str, names: str) -> None:
    client, keys = MemoryObjects(), Keys(blobs=blobs, names=names)
    put(client, "main", 1, keys=keys)
    put(client, "old", 2, keys=keys)
    before = set(client.objects)
    client.time += 100 * HOUR
    with pytest.raises(FailedPrecondition, match="prefix of their own"):
        prune(client, keys, "")
    assert set(client.objects) == before


def test_caches_under_another_prefix_for_names_keep_their_blobs() -> None:
    client = MemoryObjects()
    theirs = Keys(blobs=KEYS.blobs, names="app/branches/")
    put(client, "main", 1)
    put(client, "feature", 2, keys=theirs)
    client.replace("app/readme.txt", b"not a cache", {}, version=None)
    client.time += 100 * HOUR
    prune(client)
    assert has(client, 1)
    assert has(client, 2)
    [done] = prune_places(
        [place(client), place(client, theirs)],
        Plan(retention=Retention(keep_last=1), dry_run=False),
        0,
    )
    assert [name.stays for name in done.names] == [True, False]
    assert has(client, 1) != has(client, 2)


def test_what_would_go_is_told_of_places_that_share_their_blobs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(others, "_MOST", 3)  # their names are known, so none counts as strange
    client = MemoryObjects()
    theirs = Keys(blobs=KEYS.blobs, names="app/branches/")
    put(client, "main", 1)
    for number in range(2, 7):
        put(client, f"pr-{number}", number, keys=theirs)
    client.time += 100 * HOUR
    both = [place(client), place(client, theirs)]
    rules = Retention(max_age=50 * HOUR)
    [told] = prune_places(both, Plan(retention=rules), 0)
    [done] = prune_places(both, Plan(retention=rules, dry_run=False), 0)
    assert told.freed == done.freed
    assert not client.objects


def test_a_bucket_that_is_used_for_much_else_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(others, "_MOST", 3)
    client = MemoryObjects()
    put(client, "main", 1)
    for number in range(4):
        client.replace(f"app/other/{number}", b"x", {}, version=None)
    with pytest.raises(FailedPrecondition, match="a prefix of its own"):
        prune(client)


def test_blobs_of_others_are_leapt_over() -> None:
    client = MemoryObjects(page_size=10)
    put(client, "main", 1)
    for number in range(500):
        key = f"other/blobs/{Digest.of(str(number).encode())}"
        client.replace(key, b"", {}, version=None)
    client.asked.clear()
    list(others.other_names(content(client), "", frozenset({KEYS.names})))
    assert client.asked["list"] < 10


def test_names_of_others_that_look_like_digests_are_read_too() -> None:
    client = MemoryObjects()
    theirs = Keys(blobs=KEYS.blobs, names="app/branches/")
    put(client, "main", 1)
    for number, name in enumerate(("of-sha256:abc", "sha256:", "zzz"), 2):
        put(client, name, number, keys=theirs)
    client.time += 100 * HOUR
    prune(client)
    assert all(has(client, number) for number in range(1, 5))


def test_a_store_that_takes_no_start_is_listed_all_the_same() -> None:
    class FromTheStart(MemoryObjects):
        def list_page(self, prefix: str, /, *, after: str = "", following: str = "") -> Page:
            return super().list_page(prefix, following=following)

    client = FromTheStart(page_size=2)
    put(client, "main", 1, 2, 3)
    theirs = Keys(blobs="app/blobs/", names="app/branches/")
    put(client, "feature", 4, keys=theirs)
    needs = list(others.other_names(content(client), "app/", frozenset({KEYS.names})))
    assert len(needs) == 1


def test_what_begins_like_a_cache_and_is_none_stops_everything() -> None:
    client = MemoryObjects()
    put(client, "main", 1)
    client.replace("app/else/x", b'{"layers": nonsense', {}, version=None)
    client.time += 100 * HOUR
    with pytest.raises(WireFormat, match="app/else/x"):
        prune(client)


def test_a_name_that_cannot_be_understood_stops_everything() -> None:
    client = MemoryObjects()
    put(client, "main", 1)
    put(client, "old", 2)
    client.replace(KEYS.name("odd"), b"<html>", {}, version=None)
    client.time += 100 * HOUR
    before = set(client.objects)
    with pytest.raises(FailedPrecondition, match=r"(?s)repair or remove them first.*odd: "):
        prune(client, keep_last=1)
    assert set(client.objects) == before


def test_a_name_that_somebody_else_wrote_stays() -> None:
    client = MemoryObjects()
    put(client, "main", 1)
    [entry] = place(client).entries()
    put(client, "main", 2)
    [(name, error)] = place(client).withdraw([entry]).items()
    assert (name, type(error)) == ("main", Outdated)
    gone = Entry(name="never", version="x", modified=None)
    assert place(client).withdraw([gone]) == {}


def test_a_name_that_is_written_again_as_it_was_stays() -> None:
    client = MemoryObjects()
    put(client, "main", 1)
    [entry] = place(client).entries()
    client.time += 2
    put(client, "main", 1)
    [error] = place(client).withdraw([entry]).values()
    assert isinstance(error, Outdated)
    assert place(client).withdraw(place(client).entries()) == {}


def test_a_deletion_that_was_sent_twice_is_one() -> None:
    class Stuttering(MemoryObjects):
        def delete(self, key: str, /, *, version: str | None = None) -> None:
            super().delete(key, version=version)
            raise Outdated(f"{key} is not there")

    client = Stuttering()
    put(client, "main", 1)
    assert place(client).withdraw(place(client).entries()) == {}
    assert place(client).entries() == []


@dataclass
class Slow(MemoryObjects):
    """A store whose listings take their time."""

    delay: float = 0.0
    after_listing: Callable[[], None] = lambda: None

    def list_page(self, prefix: str, /, *, after: str = "", following: str = "") -> Page:
        page = super().list_page(prefix, after=after, following=following)
        self.time += self.delay
        self.after_listing()
        return page


@pytest.mark.parametrize("moment", range(1, 9))
def test_a_sweep_that_was_held_up_lists_again(moment: int) -> None:
    """After one of the prune's listings an export comes in between, and touches an old blob."""
    client = Slow()
    put(client, "old", 1, 2)
    client.delete(KEYS.name("old"))
    client.time += 100 * HOUR
    listings = 0

    def export() -> None:
        nonlocal listings
        listings += 1
        if listings == moment:
            put(client, "new", 1)

    client.after_listing = export
    prune(client)
    assert listings >= 5
    assert has(client, 1) == (moment <= listings)
    assert not has(client, 2)


def test_a_store_that_is_too_slow_is_not_swept() -> None:
    client = Slow()
    put(client, "old", 1)
    client.delete(KEYS.name("old"))
    client.time += 100 * HOUR
    client.delay = 2.5
    with pytest.raises(Unavailable, match="too long"):
        prune(client)
    assert has(client, 1)


@pytest.mark.parametrize("is_touched", [False, True])
def test_where_all_is_listed_at_once_blobs_are_looked_at_right_before(
    monkeypatch: pytest.MonkeyPatch, is_touched: bool
) -> None:
    """That a whole listing takes longer than a deletion may come after it does no harm then."""
    monkeypatch.setattr("cachexport.backends.objects.sweep._PAGE", 2)
    client = Slow(delay=9.0)
    put(client, "old", 1, 2, 3)
    client.delete(KEYS.name("old"))
    client.time += 100 * HOUR
    if is_touched:
        blob = client.head(KEYS.blob(layer(1)[1].digest))
        client.after_listing = partial(client.touch, blob)
    done = prune(client)
    assert done.freed is not None
    assert done.freed.blobs == (4 if is_touched else 5)
    assert has(client, 1) == is_touched
    assert not has(client, 2)


def test_looking_at_blobs_right_before_may_be_too_slow_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cachexport.backends.objects.sweep._PAGE", 2)

    class Slower(MemoryObjects):
        def head(self, key: str, /) -> Stored:
            self.time += 2.5
            return super().head(key)

    client = Slower()
    put(client, "old", 1)
    client.delete(KEYS.name("old"))
    client.time += 100 * HOUR
    with pytest.raises(Unavailable, match="too long"):
        prune(client)
    assert has(client, 1)


def test_an_export_waits_until_what_it_touched_is_safe() -> None:
    client = MemoryObjects()
    put(client, "main", 1)
    before = client.time
    put(client, "second", 1)
    assert client.time == before  # a young blob needs no touch
    client.time += 30 * HOUR
    before = client.time
    put(client, "third", 1)
    assert 1 < client.time - before < 10
