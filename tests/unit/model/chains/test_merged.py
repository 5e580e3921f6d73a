"""What counts in a merged graph where several sources say something of the same."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from cachexport import CacheChains, CacheResult, Descriptor, Digest, MemoryContent, Remote
from cachexport.errors import Unavailable
from cachexport.oci import mediatype
from cachexport.oci.descriptor import CREATED_AT, DESCRIPTION, UNCOMPRESSED

STEP = Digest.of(b"step")
OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
CONTENT = MemoryContent([b"a", b"b", b"c"])
GONE = MemoryContent()


def desc(blob: str, **annotations: str) -> Descriptor:
    raw = blob.encode()
    return replace(Descriptor.of(raw, mediatype.OCI_LAYER), annotations=annotations)


def source(at: str, *blobs: str, provider=CONTENT, descs=None) -> CacheChains:
    chains = CacheChains()
    chains.add(STEP, results=[CacheResult(at, Remote(descs or map(desc, blobs), provider))])
    return chains


def merged(*sources: CacheChains):
    """Merge as if the sources had been written and read again, each from where it is."""
    chains = CacheChains()
    chains.merged = True
    for item in sources:
        remote = next(iter(item._records[0].results.values())).remote
        config, _ = CacheChains.parse(*unasked(item)).marshal()
        chains.merge(config, remote.descriptors, remote.provider)
    return chains.marshal()


def unasked(chains: CacheChains):
    """Marshal without asking a provider what it has."""
    [record] = chains._records
    copy = CacheChains()
    for result in record.results.values():
        copy.add(STEP, results=[CacheResult(result.created_at, Remote(result.remote.descriptors))])
    return copy.marshal()


def layers(config) -> list[str]:
    [record] = config.records
    names = {Digest.of(blob.encode()): blob for blob in "abc"}
    number = record.results[0].layer if record.results else -1
    stack = []
    while number != -1:
        stack.append(names[config.layers[number].blob])
        number = config.layers[number].parent
    return stack[::-1]


def in_any_order(*sources: CacheChains):
    answers = [merged(*order) for order in permutations(sources)]
    assert len({config.encode() for config, _ in answers}) == 1
    assert len({tuple(s.descriptor.encode() for s in blobs.values()) for _, blobs in answers}) == 1
    return answers[0]


def test_of_one_instant_the_smaller_list_of_blobs_wins():
    expected = min(["a", "b", "c"], key=lambda blob: Digest.of(blob.encode()))
    config, _ = in_any_order(source(NEW, "a"), source(NEW, "b"), source(NEW, "c"))
    assert layers(config) == [expected]


def test_of_one_instant_the_one_that_is_whole_wins():
    blobs = sorted("ab", key=lambda blob: Digest.of(blob.encode()))
    config, _ = in_any_order(source(NEW, blobs[0], provider=GONE), source(NEW, blobs[1]))
    assert layers(config) == [blobs[1]]


def test_an_older_result_that_is_whole_counts(caplog: pytest.LogCaptureFixture):
    config, _ = in_any_order(source(NEW, "a", "b", provider=GONE), source(OLD, "c"))
    assert layers(config) == ["c"]
    assert "left out the results that need blobs which are not there" in caplog.text


def test_a_blob_is_there_if_any_source_has_it():
    config, blobs = in_any_order(source(NEW, "a", "b", provider=GONE), source(OLD, "b", "a"))
    assert layers(config) == ["a", "b"]
    assert {blob.provider for blob in blobs.values()} == {CONTENT}


def test_the_same_result_from_two_sources_is_read_from_the_one_that_has_it():
    config, blobs = in_any_order(source(NEW, "a", provider=GONE), source(NEW, "a"))
    assert layers(config) == ["a"]
    assert [blob.provider for blob in blobs.values()] == [CONTENT]


def test_a_provider_that_fails_is_no_reason_to_leave_out():
    class Failing(MemoryContent):
        def info(self, digest, /):
            raise Unavailable("later")

    with pytest.raises(Unavailable):
        merged(source(NEW, "a", provider=Failing()))


def test_an_instant_may_be_written_in_several_zones():
    config, _ = in_any_order(
        source("2026-01-02T01:00:00+01:00", "a"), source(NEW, "a"), source(OLD, "b")
    )
    assert str(config.records[0].results[0].created_at) == NEW


def test_the_descriptor_that_tells_most_counts_with_a_diff_id_from_any():
    poor = desc("a", **{UNCOMPRESSED: "sha256:x"})
    rich = [desc("a", **{CREATED_AT: at, DESCRIPTION: "RUN a"}) for at in (OLD, NEW)]
    docker = replace(rich[0], media_type=mediatype.DOCKER_LAYER)
    several = [source(at, descs=[d]) for at, d in zip((NEW, OLD, NEW), (poor, *rich), strict=True)]
    _, blobs = in_any_order(*several, source(OLD, descs=[docker]))
    [found] = blobs.values()
    told = {CREATED_AT: OLD, DESCRIPTION: "RUN a", UNCOMPRESSED: "sha256:x"}
    assert found.descriptor == replace(rich[0], annotations=told)


def test_a_graph_of_adds_alone_keeps_what_was_added_first():
    for blobs in (["a", "b"], ["b", "a"]):
        chains = CacheChains()
        for blob in blobs:
            chains.add(STEP, results=[CacheResult(NEW, Remote([desc(blob)], CONTENT))])
        assert layers(chains.marshal()[0]) == blobs[:1]


def test_a_graph_of_adds_alone_has_no_older_result():
    chains = source(OLD, "a")
    chains.add(STEP, results=[CacheResult(NEW, Remote([desc("b")], GONE))])
    assert layers(chains.marshal()[0]) == []


def test_what_was_added_takes_part_in_a_merge():
    chains = source(NEW, "a", provider=GONE)
    chains.merge(*source(OLD, "b", "a").marshal())
    assert layers(chains.marshal()[0]) == ["a"]
