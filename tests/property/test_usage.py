"""Counting each layer once says what walking every stack would."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from cachexport import Digest, MemoryContent
from cachexport.insight.usage import measure_usage
from cachexport.model.config.model import (
    CacheConfig,
    CacheLayer,
    CacheRecord,
    CacheResult,
    ChainedResult,
)
from cachexport.model.envelope.cache import Cache
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOBS = [Digest.of(bytes([number])) for number in range(6)]
SIZES = {blob: 1 << number for number, blob in enumerate(BLOBS)}


@st.composite
def some_cache(draw: st.DrawFn) -> Cache:
    blobs = draw(st.lists(st.sampled_from(BLOBS), min_size=1, max_size=8))
    parents = [draw(st.integers(-1, number - 1)) for number in range(len(blobs))]
    layer = st.integers(0, len(blobs) - 1)
    records = [
        CacheRecord(
            digest=Digest.of(b"record%d" % number),
            results=tuple(CacheResult(layer=top) for top in draw(st.lists(layer, max_size=2))),
            chained_results=tuple(
                ChainedResult(layers=tuple(chain))
                for chain in draw(st.lists(st.lists(layer, max_size=3), max_size=1))
            ),
        )
        for number in range(draw(st.integers(0, 5)))
    ]
    layers = tuple(
        CacheLayer(blob=blob, parent=parent) for blob, parent in zip(blobs, parents, strict=True)
    )
    return Cache(
        config=CacheConfig(layers=layers, records=tuple(records)),
        layers=tuple(Descriptor(digest=blob, size=SIZES[blob]) for blob in blobs),
        provider=MemoryContent([]),
    )


def stacks(cache: Cache, record: CacheRecord) -> Iterator[set[str]]:
    layers = cache.config.layers
    for result in record.results:
        stack, number = set(), result.layer
        while number >= 0:
            stack.add(layers[number].blob)
            number = layers[number].parent
        yield stack
    for chain in record.chained_results:
        yield {layers[number].blob for number in chain.layers}


@given(st.lists(some_cache(), min_size=1, max_size=3))
def test_usage(found: list[Cache]) -> None:
    needs = {
        (name, number): set().union(*stacks(cache, record))
        for name, cache in enumerate(found)
        for number, record in enumerate(cache.config.records)
        if record.results or record.chained_results
    }
    users = defaultdict(set)
    for user, blobs in needs.items():
        for blob in blobs:
            users[blob].add(user)
    results = [
        stack
        for cache in found
        for record in cache.config.records
        for stack in stacks(cache, record)
    ]
    usage = measure_usage((str(name), cache) for name, cache in enumerate(found))
    assert {(item.name, item.record): (item.size, item.unique) for item in usage.records} == {
        user: (
            sum(SIZES[blob] for blob in blobs),
            sum(SIZES[blob] for blob in blobs if len(users[blob]) == 1),
        )
        for user, blobs in needs.items()
    }
    for layer in usage.layers:
        assert layer.results == sum(layer.digest in stack for stack in results)
