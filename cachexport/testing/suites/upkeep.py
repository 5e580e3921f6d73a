"""What pruning, repairing and compacting must do in every backend."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from cachexport.api.caches import (
    compact_cache,
    copy_cache,
    explain_record,
    load_cache,
    verify_cache,
)
from cachexport.api.names import (
    remove_names,
    repair_names,
    touch_cache,
    verify_names,
)
from cachexport.api.places import (
    prune_caches,
)
from cachexport.content.clock import clock
from cachexport.contract.place import Sweepable
from cachexport.errors import FailedPrecondition, InvalidInputError, NotFound, PluginError
from cachexport.oci.digest import Digest
from cachexport.testing.harness import Suite
from cachexport.testing.samples import layer, real_cache
from cachexport.upkeep.prune import Plan
from cachexport.upkeep.repair import RepairOutcome
from cachexport.upkeep.retention import Retention

if TYPE_CHECKING:
    from pathlib import Path

    from cachexport.contract.place import Place
    from cachexport.testing.harness import Harness


_DAY = 24 * 3600.0
_CLOCK = 300.0
"""Seconds by which the clock of a place may differ from ours in a test."""


def _plan(grace: float = _DAY, keep_last: int | None = None, keep: tuple[str, ...] = ()) -> Plan:
    retention = Retention(keep_last=keep_last, keep_names=keep)
    return Plan(retention=retention, grace=grace, dry_run=False)


def _sweepable(place: Place) -> Sweepable:
    assert isinstance(place, Sweepable)
    return place


class SweepingSuite(Suite):
    """A Place and, where blobs can be deleted, a Sweepable."""

    def test_a_place_is_what_the_harness_says(self, harness: Harness) -> None:
        with harness.place() as place:
            assert isinstance(place, Sweepable) == harness.sweeps

    def test_a_place_that_cannot_be_pruned_says_so(self, harness: Harness) -> None:
        if harness.prunes:
            return
        harness.put("old", 1)
        harness.put("new", 2, seconds=100)
        for dry_run in (True, False):
            plan = Plan(retention=Retention(keep_last=1), dry_run=dry_run)
            with pytest.raises(FailedPrecondition, match="cannot be pruned"):
                prune_caches([harness.spec("x")], plan)
        assert harness.names() == ["new", "old"]

    def test_pruning_keeps_what_is_to_stay_and_all_that_it_needs(self, harness: Harness) -> None:
        if not harness.prunes:
            return
        for number, name in enumerate(("old", "middle", "new")):
            harness.put(name, 9, number, seconds=number * 100)
        dry = Plan(retention=Retention(keep_last=1, keep_names=("old",)), grace=_DAY)
        [pruned] = prune_caches([harness.spec("x")], dry)
        verdicts = {item.name: item.stays for item in pruned.names}
        newest = pruned.names[0].name
        assert [name for name, stays in verdicts.items() if stays] == list(
            dict.fromkeys([newest, "old"])
        )
        assert harness.names() == ["middle", "new", "old"]
        [done] = prune_caches([harness.spec("x")], _plan(keep_last=1, keep=("old",)))
        assert {item.name: item.stays for item in done.names} == verdicts
        assert harness.names() == sorted({newest, "old"})
        for name in harness.names():
            [found] = verify_cache(harness.spec(name), deep=True)
            assert not found.faults

    def test_what_nobody_needs_goes_after_the_grace(self, harness: Harness) -> None:
        if not harness.prunes:
            return
        harness.put("main", 1, 2)
        harness.put("gone", 3, 4)
        remove_names(harness.spec("gone"))
        [young] = prune_caches([harness.spec("x")], _plan())
        if not harness.sweeps:
            assert young.freed is None
            return
        assert young.freed is not None
        assert (young.freed.blobs, young.young.blobs > 0) == (0, True)
        attrs = harness.with_attrs("x", harness.no_grace)
        _until_old(attrs)
        [old] = prune_caches([attrs], _plan(grace=0.0))
        assert old.freed is not None
        assert (old.freed.blobs, old.young.blobs) == (young.young.blobs, 0)
        assert old.kept.blobs == young.kept.blobs
        with harness.source("main") as source, pytest.raises(NotFound):
            source.provider.open(layer(3)[1]).read(1)
        [found] = verify_cache(harness.spec("main"), deep=True)
        assert not found.faults

    def test_a_grace_is_longer_than_exports_trust_blobs(self, harness: Harness) -> None:
        if not harness.prunes:
            return
        harness.put("main", 1)
        with harness.place() as place:
            shortest = place.shortest_grace if isinstance(place, Sweepable) else 0.0
        if shortest:
            with pytest.raises(InvalidInputError):
                prune_caches([harness.spec("x")], _plan(grace=shortest / 2))
        else:
            prune_caches([harness.spec("x")], _plan(grace=3600.0))
        assert harness.names() == ["main"]

    def test_touching_renews_what_has_an_age(self, harness: Harness) -> None:
        harness.put("main", 1, 2)
        if not harness.sweeps:
            with pytest.raises(PluginError, match="age"):
                touch_cache(harness.spec("main"))
            return
        with harness.place() as place:
            wanted = len(place.needs(place.entries()[0]).sizes)
        assert touch_cache(harness.spec("main")) == wanted
        with pytest.raises(NotFound):
            touch_cache(harness.spec("other"))

    def test_blobs_are_listed_with_size_and_age(self, harness: Harness) -> None:
        if not harness.sweeps:
            return
        harness.put("main", 1, 2)
        with harness.place() as place:
            swept = _sweepable(place)
            sizes = {blob.digest: blob.size for blob in swept.blobs()}
            now = swept.now()
            assert all(abs(now - blob.modified) < _CLOCK for blob in swept.blobs())
            layers = {layer(number)[1].digest: layer(number)[1].size for number in (1, 2)}
            assert layers.items() <= sizes.items()
            absent = Digest.of(b"nobody has this")
            assert swept.present([*layers, absent]) == set(layers)
        assert abs(now - clock().now()) < _CLOCK

    def test_touching_makes_young_and_tells_what_is_gone(self, harness: Harness) -> None:
        if not harness.sweeps:
            return
        harness.put("main", 1)
        absent = Digest.of(b"nobody has this")
        with harness.place() as place:
            swept, [entry] = _sweepable(place), place.entries()
            needed = place.needs(entry).sizes
            before = _ages(swept)

            def is_younger() -> bool:
                assert swept.touch(place.entries()[0], [*needed, absent]) == {absent}
                return all(_ages(swept)[each] > before[each] for each in needed)

            _until(is_younger)
            [after] = place.entries()
            assert entry.modified is None or (after.modified or 0) > entry.modified
        [found] = verify_cache(harness.spec("main"), deep=True)
        assert not found.faults

    def test_blobs_are_deleted_and_swept(self, harness: Harness) -> None:
        if not harness.sweeps:
            return
        harness.put("main", 1, 2, 3)
        one, two, three = (layer(number)[1].digest for number in (1, 2, 3))
        with harness.place() as place:
            swept = _sweepable(place)
            for _ in range(2):  # what is not there is fine
                swept.delete([one])
            assert swept.present([one, two, three]) == {two, three}
            gone = {
                blob.digest: is_gone for blob, is_gone in swept.sweep(lambda it: it.digest == two)
            }
            assert (gone[two], gone[three]) == (True, False)
            assert swept.present([one, two, three]) == {three}

    def test_a_blob_that_is_used_again_becomes_young(self, harness: Harness) -> None:
        if not harness.no_grace:
            return
        harness.put("main", 1)
        digest = layer(1)[1].digest
        with harness.place() as place:
            swept = _sweepable(place)
            before = _ages(swept)

            def is_younger() -> bool:
                harness.put("main", 1, attrs=f"merge=true,{harness.no_grace}")
                return _ages(swept)[digest] > before[digest]

            _until(is_younger)


def _ages(place: Sweepable) -> dict[Digest, float]:
    return {blob.digest: blob.modified for blob in place.blobs()}


def _until_old(spec: str) -> None:
    """Wait until all blobs are old: some stores have times in whole seconds."""
    _until(lambda: not prune_caches([spec], Plan(grace=0.0))[0].young.blobs)


def _until(condition: object) -> None:
    assert callable(condition)
    deadline = clock().monotonic() + 30
    while not condition():
        assert clock().monotonic() < deadline
        threading.Event().wait(0.1)


_FIRST, _LOST = 21, 22
"""Layers that no other test uses: in some places, names of other tests share blobs."""


class UpkeepSuite(Suite):
    """Upkeep, by the abilities that a backend declares."""

    def test_a_blob_that_is_gone_is_found_missing_and_repaired(self, harness: Harness) -> None:
        harness.put("main", _FIRST, _LOST)
        harness.put("pr-1", 5)
        if not harness.take_away(layer(_LOST)[1].digest):
            pytest.skip("no blob can be taken away here")
        faults = {item.name: item.faults for item in verify_names(harness.spec("x"))}
        assert [fault.kind for fault in faults["main"]] == ["missing"]
        assert faults["pr-1"] == ()
        found = {item.name: item for item in repair_names(harness.spec("x"), "*")}
        assert (found["main"].outcome, found["main"].lost_results) == (RepairOutcome.REPAIRED, 1)
        assert found["pr-1"].outcome is RepairOutcome.SOUND
        assert all(not item.faults for item in verify_names(harness.spec("x"), deep=True))
        [cache] = load_cache(harness.spec("main"))
        assert [desc.digest for desc in cache.layers] == [layer(_FIRST)[1].digest]

    def test_blobs_come_back_from_elsewhere(self, harness: Harness, tmp_path: Path) -> None:
        harness.put("main", _FIRST + 2, _LOST + 2)
        copy_cache([harness.spec("main")], [f"type=local,dest={tmp_path / 'copy'}"])
        if not harness.take_away(layer(_LOST + 2)[1].digest):
            pytest.skip("no blob can be taken away here")
        [found] = repair_names(
            harness.spec("main"), origins=[f"type=local,src={tmp_path / 'copy'}"]
        )
        assert (found.outcome, found.restored, found.lost_results) == (RepairOutcome.REPAIRED, 1, 0)
        assert all(not item.faults for item in verify_names(harness.spec("x"), deep=True))

    def test_a_merge_leaves_out_what_is_gone(self, harness: Harness) -> None:
        harness.put("main", _FIRST + 4, _LOST + 4)
        if not harness.take_away(layer(_LOST + 4)[1].digest):
            pytest.skip("no blob can be taken away here")
        harness.put("main", 7, attrs="merge=true")
        [cache] = load_cache(harness.spec("main"))
        wanted = {layer(number)[1].digest for number in (_FIRST + 4, 7)}
        assert {desc.digest for desc in cache.layers} == wanted

    def test_a_cache_is_compacted_where_it_is(self, harness: Harness) -> None:
        copy_cache([real_cache("max")], [harness.spec("main")])
        compact_cache(harness.spec("main"), max_layers=6)
        [cache] = load_cache(harness.spec("main"))
        assert len(cache.layers) == 6
        assert all(not item.faults for item in verify_names(harness.spec("x"), deep=True))

    def test_a_record_is_explained(self, harness: Harness) -> None:
        copy_cache([real_cache("max")], [harness.spec("main")])
        [ours] = explain_record(harness.spec("main"), "c7344")
        [real] = explain_record(real_cache("max"), "c7344")
        assert ours == real
