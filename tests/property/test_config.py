"""Any config is written and read again without loss; what is read keeps its bytes."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cachexport import Timestamp
from cachexport.model.config import (
    CacheConfig,
    CacheInput,
    CacheLayer,
    CacheRecord,
    CacheResult,
    ChainedResult,
    LayerAnnotations,
    decode,
    encode,
)

NUMBERS = st.integers(-3, 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TIMES = st.builds(
    Timestamp,
    st.integers(-62_135_596_800 + 86_400, 253_402_300_799 - 86_400),
    st.integers(0, 999_999_999),
    st.integers(-23 * 60, 23 * 60).map(lambda minutes: minutes * 60),
)


def tuples(items):
    return st.lists(items, max_size=3).map(tuple)


ANNOTATIONS = st.builds(
    LayerAnnotations, media_type=TEXTS, diff_id=TEXTS, size=NUMBERS, created_at=TIMES
)
LAYERS = st.builds(CacheLayer, blob=TEXTS, parent=NUMBERS, annotations=st.none() | ANNOTATIONS)
RECORDS = st.builds(
    CacheRecord,
    results=tuples(st.builds(CacheResult, layer=NUMBERS, created_at=TIMES)),
    chained_results=tuples(st.builds(ChainedResult, layers=tuples(NUMBERS), created_at=TIMES)),
    digest=TEXTS,
    inputs=tuples(tuples(st.builds(CacheInput, selector=TEXTS, link=NUMBERS))),
)
CONFIGS = st.builds(CacheConfig, layers=tuples(LAYERS), records=tuples(RECORDS))


@given(CONFIGS)
def test_written_and_read_it_is_the_same(config):
    raw = encode(config)
    assert decode(raw) == config
    assert encode(decode(raw)) == raw
    assert not raw.endswith(b"\n")


@given(CONFIGS)
def test_zones_are_kept_as_written(config):
    def offsets(some):
        return [
            result.created_at.offset
            for record in some.records
            for result in (*record.results, *record.chained_results)
        ]

    assert offsets(decode(encode(config))) == offsets(config)


@given(CONFIGS)
def test_go_reads_keys_in_any_case_and_passes_over_others(config):
    def shout(value):
        if isinstance(value, list):
            return [shout(item) for item in value]
        if isinstance(value, dict):
            return {"unknown": 1.5, **{key.upper(): shout(item) for key, item in value.items()}}
        return value

    loud = json.dumps(shout(json.loads(encode(config)))).encode()
    assert decode(loud) == config


@given(CONFIGS)
def test_an_absent_parent_is_the_first_layer(config):
    first = replace(config, layers=(CacheLayer(blob="x"), CacheLayer(blob="y", parent=-1)))
    assert encode(first).startswith(b'{"layers":[{"blob":"x"},{"blob":"y","parent":-1}]')
