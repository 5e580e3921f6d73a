"""What is counted, and for whom, in caches that real builds exported and in odd ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import caches

from cachexport import Digest, MemoryContent, cache_usage, copy_cache, load_cache
from cachexport.errors import InvalidInputError, NotFound, WireFormat
from cachexport.insight.usage import Usage, measure_usage
from cachexport.model.config.model import (
    CacheConfig,
    CacheLayer,
    CacheRecord,
    CacheResult,
    ChainedResult,
)
from cachexport.model.envelope.cache import Cache
from cachexport.oci.descriptor import DESCRIPTION, Descriptor

if TYPE_CHECKING:
    from pathlib import Path

BLOBS = {name: Digest.of(name.encode()) for name in "abcd"}
SIZES = {"a": 1, "b": 10, "c": 100, "d": 1000}


def source(name: str) -> str:
    return f"type=local,src={caches.FOLDER / name}"


def descriptor(name: str, step: str = "") -> Descriptor:
    annotations = {DESCRIPTION: step} if step else {}
    return Descriptor(digest=BLOBS[name], size=SIZES[name], annotations=annotations)


def cache(layers: list[tuple[str, int]], *records: CacheRecord, known: str = "abcd") -> Cache:
    return Cache(
        config=CacheConfig(
            layers=tuple(CacheLayer(blob=BLOBS[name], parent=parent) for name, parent in layers),
            records=records,
        ),
        layers=tuple(descriptor(name) for name in known),
        provider=MemoryContent([]),
    )


def record(name: str, *tops: int, chain: tuple[int, ...] = ()) -> CacheRecord:
    return CacheRecord(
        digest=Digest.of(name.encode()),
        results=tuple(CacheResult(layer=top) for top in tops),
        chained_results=(ChainedResult(layers=chain),) if chain else (),
    )


def by_record(usage: Usage) -> dict[int, tuple[int, int]]:
    assert len(usage.names) == 1
    return {item.record: (item.size, item.unique) for item in usage.records}


def results(usage: Usage) -> dict[str, int]:
    names = {digest: name for name, digest in BLOBS.items()}
    return {names[item.digest]: item.results for item in usage.layers}


STACK = [("a", -1), ("b", 0), ("c", 1)]


def test_layers_below_are_shared() -> None:
    usage = measure_usage(
        [("x", cache(STACK, record("one", 1), record("two", 2), record("three")))]
    )
    assert by_record(usage) == {0: (11, 0), 1: (111, 100)}
    assert results(usage) == {"a": 2, "b": 2, "c": 1, "d": 0}
    [name] = usage.names
    assert (name.name, name.blobs, name.size, name.unique, name.shared) == ("x", 4, 1111, 1111, 0)
    assert usage.size == 1111


def test_a_record_needs_what_any_of_its_results_needs() -> None:
    layers = [("a", -1), ("b", 0), ("c", 0)]
    usage = measure_usage([("x", cache(layers, record("one", 1, 2, chain=(0, 2))))])
    assert by_record(usage) == {0: (111, 111)}
    assert results(usage) == {"a": 3, "b": 1, "c": 2, "d": 0}


def test_a_blob_is_counted_once_in_a_stack() -> None:
    layers = [("a", -1), ("b", 0), ("a", 1), ("a", -1)]
    usage = measure_usage([("x", cache(layers, record("one", 2), record("two", 3)))])
    assert by_record(usage) == {0: (11, 10), 1: (1, 0)}
    assert results(usage) == {"a": 2, "b": 1, "c": 0, "d": 0}


def test_the_layers_of_a_chain_stand_for_themselves() -> None:
    usage = measure_usage([("x", cache(STACK, record("one", chain=(2,)), record("two", 0)))])
    assert by_record(usage) == {0: (100, 100), 1: (1, 1)}


def test_a_layer_that_nobody_describes_has_no_size() -> None:
    layers = [("a", -1), ("b", 2), ("c", 1)]  # a loop that nothing can follow
    odd = cache(layers, record("one", 2), record("two", 0), known="a")
    assert by_record(measure_usage([("x", odd)])) == {0: (0, 0), 1: (1, 1)}


def test_what_several_caches_have_is_unique_to_none() -> None:
    one = cache(STACK, record("one", 1), known="ab")
    two = cache(STACK, record("one", 2), known="abc")
    usage = measure_usage([("one", one), ("two", two)])
    assert [(item.size, item.unique, item.shared) for item in usage.names] == [
        (11, 0, 11),
        (111, 100, 11),
    ]
    assert [(item.name, item.size, item.unique, item.shared) for item in usage.records] == [
        (1, 111, 100, 11),
        (0, 11, 0, 11),
    ]
    assert [(item.size, item.names) for item in usage.layers] == [
        (100, (1,)),
        (10, (0, 1)),
        (1, (0, 1)),
    ]
    assert usage.size == 111


def test_whoever_tells_the_step_is_believed() -> None:
    config = CacheConfig()
    silent, told = (
        Cache(config=config, layers=(descriptor("a", step),), provider=MemoryContent([]))
        for step in ("", "RUN make")
    )
    for order in ([silent, told], [told, silent]):
        [layer] = measure_usage(("", one) for one in order).layers
        assert layer.description == "RUN make"


def test_records_that_lead_nowhere() -> None:
    with pytest.raises(WireFormat):
        measure_usage([("x", cache(STACK, record("one", 3)))])


def test_the_record_that_ties_a_merged_cache_together_needs_nothing() -> None:
    usage = cache_usage([source("multi-both")])
    [found] = load_cache(source("multi-both"))
    assert len(usage.records) == sum(bool(one.results) for one in found.config.records)
    assert usage.size == sum({desc.digest: desc.size for desc in found.layers}.values())


def test_sources_by_name() -> None:
    usage = cache_usage([source("multi-amd64"), source("multi-arm64"), source("multi-both")])
    amd64, arm64, both = usage.names
    assert (amd64.name, arm64.unique) == (source("multi-amd64"), 0)
    assert both.size == usage.size
    assert amd64.size < both.size


def test_several_caches_of_one_source_are_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    class Image:
        def load(self) -> list[Cache]:
            return [cache(STACK), cache(STACK[:1])]

        def close(self) -> None:
            pass

    monkeypatch.setattr("cachexport.contract.opening.open_source", lambda _: Image())
    names = [name.name for name in cache_usage(["type=local,src=x"]).names]
    assert names == ["type=local,src=x (1 of 2)", "type=local,src=x (2 of 2)"]


def test_sources_that_are_not_there(caplog: pytest.LogCaptureFixture) -> None:
    assert len(cache_usage([source("nothing"), source("max")]).names) == 1
    assert "nothing" in caplog.text
    with pytest.raises(NotFound, match="nothing"):
        cache_usage([source("nothing")])
    with pytest.raises(InvalidInputError, match="list"):
        cache_usage(source("max"))


def test_a_pattern_is_every_name_that_matches(tmp_path: Path) -> None:
    for tag, name in (("pr-1", "multi-amd64"), ("pr-2", "multi-both"), ("main", "max")):
        copy_cache([source(name)], [f"type=local,dest={tmp_path},tag={tag}"])
    usage = cache_usage([f"type=local,src={tmp_path},tag=pr-*"])
    assert sorted(name.name for name in usage.names) == [
        f"type=local,src={tmp_path},tag=pr-1",
        f"type=local,src={tmp_path},tag=pr-2",
    ]
    assert usage.size == cache_usage([source("multi-both")]).size
