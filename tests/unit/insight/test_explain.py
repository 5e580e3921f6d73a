"""What is told of one record."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support import caches
from support.targets import Recorder

from cachexport import (
    CacheChains,
    CacheLink,
    CacheResult,
    Descriptor,
    Digest,
    MemoryContent,
    Remote,
)
from cachexport.api.caches import (
    explain_record as explain_source,
)
from cachexport.api.caches import (
    load_cache,
)
from cachexport.contract.export import CommonExport
from cachexport.contract.reading import read_caches
from cachexport.errors import InvalidInputError
from cachexport.insight.explain import Hindrance, explain_record
from cachexport.model.config import CacheResult as WrittenResult
from cachexport.model.envelope.cache import WrappedCache
from cachexport.oci import mediatype
from cachexport.transfer.prepare import prepare_chains
from cachexport.transfer.write import write

AT = "2026-01-01T00:00:00Z"
STEPS = ("base", "middle", "top")


def stored() -> tuple[WrappedCache, MemoryContent]:
    """Give a cache of three steps on each other, and a step without a result, and its blobs."""
    chains = CacheChains()
    record = remote = None
    for name in STEPS:
        raw = name.encode()
        desc, content = Descriptor.of(raw, mediatype.OCI_LAYER), MemoryContent([raw])
        remote = Remote([desc], content) if remote is None else remote.stack(desc, content)
        links = [] if record is None else [[CacheLink(record, "part")]]
        record = chains.add(Digest.of(raw), links, [CacheResult(AT, remote)])
    chains.add(Digest.of(b"dead"), [[CacheLink(record)]])
    target = Recorder()
    write(prepare_chains(chains, CommonExport()), target)
    assert target.published
    [cache] = read_caches(target.content, target.published.wrapped.descriptor)
    assert isinstance(cache, WrappedCache)
    return cache, target.content


def explain(cache, name: str):
    [found] = explain_record([cache], Digest.of(name.encode()))
    return found


def test_what_leads_to_it_and_what_depends_on_it():
    cache, _ = stored()
    found = explain(cache, "middle")
    assert [node.digest for node in found.path] == [Digest.of(b"base"), Digest.of(b"middle")]
    [[link]] = found.inputs
    assert (link.digest, link.selector) == (Digest.of(b"base"), "part")
    [child] = found.children
    assert (child.digest, child.selector, child.index) == (Digest.of(b"top"), "part", 0)
    assert (found.ancestors, found.descendants, found.results_below) == (1, 2, 1)
    assert cache.config.records[found.number].digest == found.digest


def test_a_result_has_its_layers_from_the_bottom():
    found = explain(stored()[0], "top")
    [result] = found.results
    assert [layer.blob for layer in result.layers] == [Digest.of(s.encode()) for s in STEPS]
    assert [layer.size for layer in result.layers] == [len(s) for s in STEPS]
    assert result.counts
    assert found.is_usable


def test_nothing_below_has_a_result():
    [obstacle] = explain(stored()[0], "dead").obstacles
    assert obstacle.kind is Hindrance.DEAD


def test_a_layer_is_gone_or_of_another_size():
    cache, content = stored()
    content._blobs.pop(Digest.of(b"base"))
    content._blobs[Digest.of(b"middle")] = b"short"
    kinds = [(item.kind, item.blob) for item in explain(cache, "top").obstacles]
    missing = (Hindrance.MISSING, Digest.of(b"base"))
    assert kinds == [missing, (Hindrance.WRONG_SIZE, Digest.of(b"middle"))]
    assert [item.kind for item in explain(cache, "base").obstacles] == [Hindrance.MISSING]


def test_a_layer_is_not_described_or_without_its_diff_id():
    cache, _ = stored()
    top = next(desc for desc in cache.layers if desc.digest == Digest.of(b"top"))
    others = tuple(desc for desc in cache.layers if desc != top)
    [obstacle] = explain(replace(cache, layers=others), "top").obstacles
    assert (obstacle.kind, obstacle.blob) == (Hindrance.UNDESCRIBED, top.digest)
    bare = replace(top, media_type=mediatype.OCI_LAYER_GZIP, annotations={})
    [obstacle] = explain(replace(cache, layers=(*others, bare)), "top").obstacles
    assert (obstacle.kind, obstacle.blob) == (Hindrance.NO_DIFF_ID, top.digest)


def test_too_large_for_an_import_but_not_in_a_bucket():
    cache, _ = stored()
    large = replace(cache, wrapped=replace(cache.wrapped, manifest=b" " * ((1 << 20) + 1)))
    [obstacle] = explain(large, "top").obstacles
    assert obstacle.kind is Hindrance.OVERSIZE
    assert "the manifest has 1,048,577 bytes" in obstacle.text
    assert explain(replace(large, named=b"{}"), "top").is_usable


def test_an_older_result_does_not_count():
    cache, content = stored()
    records = list(cache.config.records)
    number = next(n for n, r in enumerate(records) if r.digest == Digest.of(b"top"))
    base = next(n for n, x in enumerate(cache.config.layers) if x.blob == Digest.of(b"base"))
    older = WrittenResult(layer=base)
    results = (older, *records[number].results)
    records[number] = replace(records[number], results=results)
    both = replace(cache, config=replace(cache.config, records=tuple(records)))
    content._blobs.pop(Digest.of(b"top"))
    found = explain(both, "top")
    assert [result.counts for result in found.results] == [False, True]
    assert [item.blob for item in found.obstacles] == [Digest.of(b"top")]


def test_a_digest_that_several_records_have_is_explained_for_each():
    source = f"type=local,src={caches.FOLDER / 'max-src-changed'}"
    found = explain_source(source, "0BD0B7")
    assert [len(item.results) for item in found] == [0, 1]
    assert len({item.number for item in found}) == 2


@pytest.mark.parametrize(
    ("digest", "said"),
    [
        ("0", "5 digests begin with '0': sha256:0172"),
        ("zz", "begins with 'zz'"),
        ("sha", "16 digests"),
    ],
)
def test_a_beginning_has_to_mean_one_digest(digest, said):
    with pytest.raises(InvalidInputError, match=said):
        explain_source(f"type=local,src={caches.FOLDER / 'max'}", digest)


@pytest.mark.parametrize(
    "name", [*caches.LAYOUTS, "inline-image.tar", "copy-link-inline-image.tar"]
)
def test_all_records_of_real_caches_can_be_explained(name):
    [cache] = load_cache(f"type=local,src={caches.FOLDER / name}")
    for record in cache.config.records:
        for found in explain_record([cache], record.digest):
            assert {item.kind for item in found.obstacles} <= {Hindrance.DEAD}
            assert all(layer.size for result in found.results for layer in result.layers)
