"""Merging is associative, commutative and idempotent, to the byte; and it loses nothing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from support.builds import builds, cache_of, projects

from cachexport import CacheChains, CacheLink, CacheResult, Descriptor, Digest, Remote, Timestamp
from cachexport.contract.export import CommonExport
from cachexport.model.chains.tie import untied
from cachexport.testing.meaning import Index
from cachexport.transfer.prepare import prepare_merged


@st.composite
def sources(draw, least=1):
    steps = draw(projects())
    several = draw(st.lists(builds(steps), min_size=least, max_size=4))
    return [cache_of(steps, build) for build in several]


def merged(*caches):
    return prepare_merged(caches, CommonExport())


def raw(cache):
    return cache.wrapped.config, cache.wrapped.manifest


@settings(max_examples=120)
@given(sources(), st.data())
def test_any_order_gives_the_same_bytes(caches, data):
    assert raw(merged(*data.draw(st.permutations(caches)))) == raw(merged(*caches))


@settings(max_examples=120)
@given(sources(least=2), st.data())
def test_merging_step_by_step_gives_the_same_bytes(caches, data):
    cut = data.draw(st.integers(1, len(caches) - 1))
    parts = (merged(*caches[:cut]), merged(*caches[cut:]))
    assert raw(merged(*parts)) == raw(merged(*caches))
    assert raw(merged(parts[0], *caches[cut:])) == raw(merged(*caches))


@settings(max_examples=80)
@given(sources())
def test_merging_again_gives_the_same_bytes(caches):
    once = merged(*caches)
    assert raw(merged(once)) == raw(merged(once, *caches)) == raw(once)


@settings(max_examples=120)
@given(sources())
def test_every_record_and_every_newest_result_is_found(caches):
    whole = untied(merged(*caches).config)
    for cache in caches:
        assert lacking(cache.config, whole) is None


def lacking(part, whole):
    """Say what a build finds in `part`, record by record, and not in `whole`.

    A build asks by digest and inputs, and is answered too by a record that has more inputs.
    """
    a, b = Index.of(part), Index.of(whole)
    found = {}
    for number, record in topological(part):
        question = tuple(
            (frozenset().union(*(found[link.link] for link in links)), links[0].selector)
            for links in record.inputs
        )
        if not question:
            found[number] = b.roots(record.digest)
        else:
            found[number] = find(whole, record.digest, question)
        if not found[number]:
            return f"record {number}"
        mine, theirs = a.newest(frozenset([number])), b.newest(found[number])
        if mine is not None and (theirs is None or theirs[0] < mine[0]):
            return f"result of record {number}"
    return None


def find(config, digest, question):
    return frozenset(
        number
        for number, record in enumerate(config.records)
        if record.digest == digest
        and len(record.inputs) >= len(question)
        and all(
            any(link.link in known and link.selector == selector for link in links)
            for (known, selector), links in zip(question, record.inputs, strict=False)
        )
    )


def topological(config):
    done = set()
    while len(done) < len(config.records):
        for number, record in enumerate(config.records):
            links = {link.link for links in record.inputs for link in links}
            if number not in done and links <= done:
                done.add(number)
                yield number, record


@st.composite
def wild(draw):
    """Give a graph in which digests recur at will, with any inputs."""
    chains = CacheChains()
    records = []
    for number in range(draw(st.integers(1, 7))):
        links = st.builds(CacheLink, st.sampled_from(records)) if records else st.nothing()
        some = st.lists(links, min_size=1, max_size=2)
        deps = draw(st.lists(some, max_size=2)) if records else []
        blobs = draw(st.lists(st.integers(0, 3), max_size=3))
        results = [CacheResult(Timestamp(number % 3), remote(blobs))] if blobs else []
        digest = Digest.of(b"%d" % draw(st.integers(0, 2)))
        records.append(chains.add(digest, deps, results))
    return chains


def remote(blobs):
    return Remote(Descriptor(digest=Digest.of(b"%d" % b), size=1) for b in blobs)


@settings(max_examples=200)
@given(st.lists(wild(), min_size=1, max_size=3))
def test_of_any_graphs_nothing_is_lost_and_the_same_order_gives_the_same_bytes(several):
    configs = [chains.marshal()[0] for chains in several]

    def union():
        chains = CacheChains()
        chains.merged = True
        for config in configs:
            chains.merge(
                config, [Descriptor(digest=Digest.of(b"%d" % b), size=1) for b in range(4)]
            )
        return chains.marshal()[0]

    whole = union()
    assert union().encode() == whole.encode()
    for config in configs:
        assert lacking(config, whole) is None
