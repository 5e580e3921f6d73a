"""Names: listing and removing them, and writing one from several at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from cachexport.api.caches import (
    copy_cache,
    load_cache,
    verify_cache,
)
from cachexport.api.names import (
    list_names,
    remove_names,
    tag_cache,
    verify_names,
)
from cachexport.errors import NotFound, Outdated
from cachexport.testing.harness import Suite
from cachexport.testing.samples import BEGIN, layer, real_cache

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachexport.testing.harness import Harness


class NamesSuite(Suite):
    """A PlaceBackend, and its Place."""

    def test_names_are_listed_with_what_they_are(self, harness: Harness) -> None:
        copy_cache([real_cache("max")], [harness.spec("main")])
        harness.put("pr-1", 1, 2)
        found = {item.name: item for item in list_names(harness.spec("main"))}
        assert set(found) == {"main", "pr-1"}
        main, other = found["main"], found["pr-1"]
        assert (main.records, main.layers, main.kind) == (16, 10, "image-manifest")
        assert (other.records, other.layers) == (3, 2)
        for item in found.values():
            assert item.time is None or item.time > BEGIN - 1
            assert item.fault == ""
        assert [item.name for item in list_names(harness.spec("x"), "pr-*")] == ["pr-1"]

    def test_a_place_that_is_empty_has_no_names(self, harness: Harness) -> None:
        with suppress(NotFound):  # some places begin to be with their first cache
            assert harness.names() == []

    def test_a_name_that_is_not_there_is_not_found(self, harness: Harness) -> None:
        with pytest.raises(NotFound):
            load_cache(harness.spec("main"))
        harness.put("main", 1)
        with pytest.raises(NotFound):
            load_cache(harness.spec("other"))

    def test_a_further_name_moves_nothing(self, harness: Harness) -> None:
        harness.put("main", 1, 2)
        tag_cache(harness.spec("main"), "v1", "v2")
        assert harness.names() == ["main", "v1", "v2"]
        [one], [other] = load_cache(harness.spec("v1")), load_cache(harness.spec("main"))
        assert one.config == other.config

    def test_names_are_removed_by_pattern(self, harness: Harness) -> None:
        for number, name in enumerate(("main", "pr-1", "pr-2")):
            harness.put(name, number)
        assert remove_names(harness.spec("pr-*")) == ["pr-1", "pr-2"]
        assert harness.names() == ["main"]
        with pytest.raises(NotFound):
            load_cache(harness.spec("pr-1"))
        with pytest.raises(NotFound, match="pr-1"):
            remove_names(harness.spec("pr-1"))

    def test_a_pool_is_read_through_a_pattern(self, harness: Harness) -> None:
        for number, name in enumerate(("main", "pr-1", "pr-2", "pr-3")):
            harness.put(name, 9, number, seconds=number * 100)
        pool = load_cache(harness.spec("pr-*"))
        assert len({layer.blob for cache in pool for layer in cache.config.layers}) == 4
        assert len(load_cache(harness.with_attrs("pr-*", "newest=2"))) == 2
        with pytest.raises(NotFound, match=r"zzz-\*"):
            load_cache(harness.spec("zzz-*"))

    def test_a_name_that_changed_since_is_not_taken_away(self, harness: Harness) -> None:
        harness.put("main", 1)
        harness.put("other", 2)
        with harness.place() as place:
            before = place.entries()
            harness.put("main", 3)
            refused = place.withdraw(before)
            assert set(refused) == {"main"}
            assert isinstance(refused["main"], Outdated)
            assert place.withdraw([entry for entry in before if entry.name == "other"]) == {}
        assert harness.names() == ["main"]

    def test_entries_tell_what_changed(self, harness: Harness) -> None:
        harness.put("main", 1)
        harness.put("other", 2)
        with harness.place() as place:
            before = {entry.name: entry for entry in place.entries()}
            harness.put("main", 3)
            after = {entry.name: entry for entry in place.entries()}
            assert after["main"].version != before["main"].version
            assert after["other"].version == before["other"].version

    def test_a_name_needs_its_layers_config_and_manifest(self, harness: Harness) -> None:
        harness.put("main", 1, 2)
        with harness.place() as place:
            [entry] = place.entries()
            needs, contents = place.needs(entry), place.contents(entry)
        [cache] = contents.caches
        assert needs.is_cache
        assert contents.is_cache
        assert {desc.digest: desc.size for desc in cache.layers}.items() <= needs.sizes.items()
        assert set(needs.sizes) == set(contents.sizes)


_WRITERS = 6


def _at_once(work: Callable[[int], None]) -> None:
    """Run all at the same moment, and raise the errors of any."""
    gate = threading.Barrier(_WRITERS)

    def run(number: int) -> None:
        gate.wait()
        work(number)

    with ThreadPoolExecutor(_WRITERS) as pool:
        for done in [pool.submit(run, number) for number in range(_WRITERS)]:
            done.result()


def _blobs(spec: str) -> set[str]:
    [cache] = load_cache(spec)
    return {str(desc.digest) for desc in cache.layers}


class RacingSuite(Suite):
    """Exports and merges at the same time."""

    def test_exports_to_names_of_their_own(self, harness: Harness) -> None:
        _at_once(lambda number: harness.put(f"job-{number}", 9, number))
        assert harness.names() == [f"job-{number}" for number in range(_WRITERS)]
        for number in range(_WRITERS):
            wanted = {str(layer(each)[1].digest) for each in (9, number)}
            assert _blobs(harness.spec(f"job-{number}")) == wanted
        assert all(not item.faults for item in verify_names(harness.spec("x"), deep=True))

    def test_the_last_of_exports_to_one_name_counts_whole(self, harness: Harness) -> None:
        _at_once(lambda number: harness.put("main", 9, number))
        [found] = verify_cache(harness.spec("main"), deep=True)
        assert not found.faults
        choices = [{str(layer(each)[1].digest) for each in (9, n)} for n in range(_WRITERS)]
        assert _blobs(harness.spec("main")) in choices

    def test_merges_into_one_name_lose_nothing(self, harness: Harness) -> None:
        _at_once(lambda n: harness.put("main", 9, n, seconds=100 * n, attrs="merge=true"))
        [found] = verify_cache(harness.spec("main"), deep=True)
        assert not found.faults
        wanted = {str(layer(each)[1].digest) for each in (9, *range(_WRITERS))}
        if harness.swaps:
            assert _blobs(harness.spec("main")) == wanted
        else:
            assert _blobs(harness.spec("main")) <= wanted

    def test_who_reads_meanwhile_reads_something_whole(self, harness: Harness) -> None:
        harness.put("main", 9, 0)

        def work(number: int) -> None:
            if number % 2:
                harness.put("main", 9, number)
                return
            for _ in range(3):
                [found] = verify_cache(harness.spec("main"), deep=True)
                assert not found.faults

        _at_once(work)
