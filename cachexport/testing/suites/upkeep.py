"""What looks after caches: verify, repair, and the rest that has no line about any backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cachexport.api.caches import (
    compact_cache,
    copy_cache,
    explain_record,
    load_cache,
)
from cachexport.api.names import (
    repair_names,
    verify_names,
)
from cachexport.testing.real import real_cache
from cachexport.testing.samples import layer
from cachexport.testing.suites.suite import Suite
from cachexport.upkeep.repair import Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from cachexport.testing.harness import Harness

_FIRST, _LOST = 21, 22
"""Layers that no other test has: in some places blobs are shared beyond their names."""


class UpkeepSuite(Suite):
    """Maintenance, through the abilities that a backend declares."""

    def test_a_blob_that_is_gone_is_found_missing_and_repaired(self, harness: Harness) -> None:
        harness.put("main", _FIRST, _LOST)
        harness.put("pr-1", 5)
        if not harness.take_away(layer(_LOST)[1].digest):
            pytest.skip("no blob can be taken away here")
        faults = {item.name: item.faults for item in verify_names(harness.spec("x"))}
        assert [fault.kind for fault in faults["main"]] == ["missing"]
        assert faults["pr-1"] == ()
        found = {item.name: item for item in repair_names(harness.spec("x"), "*")}
        assert (found["main"].outcome, found["main"].lost_results) == (Outcome.REPAIRED, 1)
        assert found["pr-1"].outcome is Outcome.SOUND
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
        assert (found.outcome, found.restored, found.lost_results) == (Outcome.REPAIRED, 1, 0)
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
