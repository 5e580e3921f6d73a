"""Names: listing them, giving more, taking them away."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from cachexport.api.caches import (
    copy_cache,
    load_cache,
)
from cachexport.api.names import (
    list_names,
    remove_names,
    tag_cache,
)
from cachexport.errors import NotFound, Outdated
from cachexport.testing.real import real_cache
from cachexport.testing.samples import BEGIN
from cachexport.testing.suites.suite import Suite

if TYPE_CHECKING:
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
