"""Whole caches: written, read back and merged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cachexport.api.caches import (
    cache_usage,
    copy_cache,
    diff_caches,
    export_cache,
    import_cache,
    load_cache,
    merge_cache,
    verify_cache,
)
from cachexport.api.names import (
    copy_names,
)
from cachexport.insight.inspect import inspect_cache
from cachexport.model.chains import CacheChains
from cachexport.model.envelope.cache import WrappedCache
from cachexport.testing.harness import Suite
from cachexport.testing.meaning import difference
from cachexport.testing.samples import CACHES, layer, layout_files, real_cache, small_chains

if TYPE_CHECKING:
    from pathlib import Path

    from cachexport.testing.harness import Harness

_FORM_OF_ALL = ("max", "copy-link")


def _loaded(spec: str) -> WrappedCache:
    [cache] = load_cache(spec)
    assert isinstance(cache, WrappedCache)
    return cache


class TransferSuite(Suite):
    """Caches of a real BuildKit, and small ones of our own."""

    @pytest.mark.parametrize("name", CACHES)
    def test_there_and_back(self, harness: Harness, tmp_path: Path, name: str) -> None:
        real, here = real_cache(name), harness.spec("main")
        copy_cache([real], [here])
        copy_cache([here], [f"type=local,dest={tmp_path / 'back'}"])
        copy_cache([real], [f"type=local,dest={tmp_path / 'straight'}"])
        back = f"type=local,src={tmp_path / 'back'}"
        if harness.keeps_forms or name in _FORM_OF_ALL:
            straight = layout_files(tmp_path / "straight")
            assert layout_files(tmp_path / "back") == straight
        before, after = _loaded(real), _loaded(back)
        assert difference(before.config, after.config) is None
        assert {
            (desc.digest, desc.size, desc.media_type, desc.diff_id) for desc in before.layers
        } == {(desc.digest, desc.size, desc.media_type, desc.diff_id) for desc in after.layers}
        [found] = verify_cache(here, deep=True)
        assert found.faults == ()

    def test_what_is_seen_there_is_what_was_sent(self, harness: Harness) -> None:
        real, here = real_cache("max"), harness.spec("main")
        copy_cache([real], [here])
        assert inspect_cache(_loaded(here)) == inspect_cache(_loaded(real))
        mine, theirs = cache_usage([here]), cache_usage([real])
        assert (mine.size, mine.layers, mine.records) == (
            theirs.size,
            theirs.layers,
            theirs.records,
        )
        found = diff_caches(real, here)
        assert (found.gained, found.lost, found.changed) == ((), (), ())

    def test_a_graph_is_exported_and_imported(self, harness: Harness) -> None:
        chains = small_chains(1, 2, 3)
        assert export_cache(chains, harness.spec("main"))["cache.manifest"]
        config, _ = import_cache(harness.spec("main")).marshal()
        assert config.encode() == chains.marshal()[0].encode()

    def test_an_export_again_changes_nothing(self, harness: Harness) -> None:
        answers = [copy_cache([real_cache("max")], [harness.spec("main")]) for _ in range(2)]
        assert answers[0][0].response == answers[1][0].response
        assert _loaded(harness.spec("main")).wrapped == _loaded(real_cache("max")).wrapped

    def test_a_name_is_replaced(self, harness: Harness) -> None:
        harness.put("main", 1, 2)
        harness.put("main", 3)
        blobs = {desc.digest for desc in _loaded(harness.spec("main")).layers}
        assert blobs == {layer(3)[1].digest}

    def test_nothing_is_written_for_a_cache_without_layers(self, harness: Harness) -> None:
        harness.put("main", 1, 2)
        before = _loaded(harness.spec("main")).wrapped
        assert export_cache(CacheChains(), harness.spec("main")) == {}
        assert _loaded(harness.spec("main")).wrapped == before

    def test_the_smallest_mode_is_understood(self, harness: Harness, tmp_path: Path) -> None:
        there = f"type=local,dest={tmp_path / 'min'},mode=min"
        copy_cache([real_cache("max")], [harness.with_attrs("main", "mode=min"), there])
        ours, local = _loaded(harness.spec("main")), _loaded(f"type=local,src={tmp_path / 'min'}")
        assert ours.config == local.config

    def test_a_merge_has_all_of_all(self, harness: Harness, tmp_path: Path) -> None:
        for number, name in enumerate(("a", "b", "c")):
            harness.put(name, 9, number, seconds=100 * number)
        sources = [harness.spec(name) for name in ("a", "b", "c")]
        merge_cache(sources, [harness.spec("all")])
        merge_cache(sources[::-1], [f"type=local,dest={tmp_path / 'all'}"])
        ours, local = _loaded(harness.spec("all")), _loaded(f"type=local,src={tmp_path / 'all'}")
        assert ours.wrapped.config == local.wrapped.config
        assert len(ours.layers) == 4

    def test_merges_into_a_name_add_up(self, harness: Harness) -> None:
        for number in range(4):
            harness.put("main", 9, number, seconds=100 * number, attrs="merge=true")
        blobs = {desc.digest for desc in _loaded(harness.spec("main")).layers}
        assert blobs == {layer(number)[1].digest for number in (9, 0, 1, 2, 3)}

    def test_a_whole_place_moves_away_and_back(self, harness: Harness, tmp_path: Path) -> None:
        harness.put("main", 1, 2)
        harness.put("pr-1", 1, 3)
        harness.put("other", 4)
        away = f"type=local,dest={tmp_path / 'away'},src={tmp_path / 'away'}"
        answers = copy_names(harness.spec("any"), away, "[mp]*")
        assert sorted(answer.name for answer in answers) == ["main", "pr-1"]
        for answer in answers:
            left = _loaded(f"{away},tag={answer.name}").wrapped
            assert left == _loaded(harness.spec(answer.name)).wrapped
        harness.put("main", 5)
        copy_names(away, harness.spec("any"))
        assert len(_loaded(harness.spec("main")).layers) == 2
