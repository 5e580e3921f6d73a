"""Whether a cache is as large as it should be."""

from __future__ import annotations

import pytest

from cachexport import CacheChains, CacheResult, Descriptor, Digest, MemoryContent, Remote
from cachexport.contract.export import CommonExport
from cachexport.oci import mediatype
from cachexport.transfer.prepare import prepare_chains, prepare_merged
from cachexport.upkeep.gate import Demands, check_caches


def cache(records: int, results: int):
    chains = CacheChains()
    remote = Remote([Descriptor.of(b"x", mediatype.OCI_LAYER)], MemoryContent([b"x"]))
    result = CacheResult("2026-01-01T00:00:00Z", remote)
    for number in range(records):
        chains.add(Digest.of(b"%d" % number), results=[result] if number < results else [])
    return prepare_chains(chains, CommonExport())


def holds(checks) -> list[bool | None]:
    return [check.holds for check in checks]


@pytest.mark.parametrize(("least", "held"), [(9, True), (10, True), (11, False)])
def test_at_least_so_many(least, held):
    found = check_caches([cache(10, 4)], Demands(min_records=least, min_results=least - 6))
    assert holds(found) == [held, held]
    assert [check.figure for check in found] == [10, 4]


@pytest.mark.parametrize(
    ("now", "percent", "held"), [(7, 30, True), (7, 29.9, False), (12, 0, True), (0, 100, True)]
)
def test_no_more_fewer_than_so_many_percent(now, percent, held):
    found = check_caches([cache(now, now)], Demands(max_shrink=percent), [cache(10, 10)])
    assert holds(found) == [held, held]
    assert found[0].figure == pytest.approx(100 * (10 - now) / 10)


def test_records_and_results_are_checked_apart():
    found = check_caches([cache(10, 1)], Demands(max_shrink=30), [cache(10, 10)])
    assert holds(found) == [True, False]
    assert found[1].text == "1 result after 10, 90.0% fewer, wanted 30% fewer at most"


def test_with_nothing_to_compare_with_nothing_has_shrunk():
    assert holds(check_caches([cache(1, 1)], Demands(max_shrink=0))) == [None, None]
    assert holds(check_caches([cache(1, 1)], Demands(max_shrink=0), [cache(0, 0)])) == [True, True]


def test_what_ties_the_ends_of_a_merged_cache_does_not_count():
    merged = prepare_merged([cache(3, 2)], CommonExport())
    assert len(merged.config.records) == 4
    assert [check.figure for check in check_caches([merged], Demands(min_records=3))] == [3]
