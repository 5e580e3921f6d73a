"""Making caches fit."""

from __future__ import annotations

import pytest

from cachexport import (
    CacheChains,
    CacheLink,
    CacheResult,
    Descriptor,
    Digest,
    MemoryContent,
    Remote,
    Timestamp,
)
from cachexport.contract.export import CommonExport
from cachexport.model.chains.tie import is_tied, untied
from cachexport.model.envelope.manifest import (
    Form,
)
from cachexport.oci import mediatype
from cachexport.transfer.fit import Limits, fit
from cachexport.transfer.prepare import marshalled, merge_caches, prepare_chains

IMPORTED = 1 << 20
STAGE = 19


def large(records: int, layers: int) -> CacheChains:
    """Give a graph shaped like tests/wire/caches/wide: many stages of some steps each."""
    chains = CacheChains()
    context = chains.add(Digest.of(b"context"))
    remote = below = None
    made = 0
    for number in range(records - 1):
        if number % STAGE == 0:
            below, remote = chains.add(Digest.of(b"stage %d" % number)), None
        raw = b"layer %d" % number
        desc, content = Descriptor.of(raw, mediatype.OCI_LAYER), MemoryContent([raw])
        results = []
        if made < layers:
            remote = Remote([desc], content) if remote is None else remote.stack(desc, content)
            results = [CacheResult(Timestamp(1_760_000_000 + number, number), remote)]
            made += 1
        links = [[CacheLink(below)], [CacheLink(context)]]
        below = chains.add(Digest.of(b"step %d" % number), links, results)
    return chains


def branch(chains: CacheChains, base: object, name: str, *times: int | None) -> None:
    """Add steps on each other, each with a result of that time, None for none."""
    record, remote = base, None
    for number, at in enumerate(times):
        raw = f"{name} {number}".encode()
        desc, content = Descriptor.of(raw, mediatype.OCI_LAYER), MemoryContent([raw])
        remote = Remote([desc], content) if remote is None else remote.stack(desc, content)
        results = [] if at is None else [CacheResult(Timestamp(at), remote)]
        record = chains.add(Digest.of(raw), [[CacheLink(record)]], results)


def steps(cache, *names: str) -> set[str]:
    known = {Digest.of(f"{name} {n}".encode()): f"{name} {n}" for name in names for n in range(5)}
    return {known[r.digest] for r in untied(cache.config).records if r.digest in known}


@pytest.mark.parametrize("form", Form)
def test_four_thousand_records_fit_into_what_buildkit_imports(form):
    cache = marshalled(large(4_100, 3_900), form)
    assert max(len(cache.wrapped.config), len(cache.wrapped.manifest)) > IMPORTED
    fitted, loss = fit(cache, Limits(size=IMPORTED))
    sizes = len(fitted.wrapped.config), len(fitted.wrapped.manifest)
    assert IMPORTED * 0.99 < max(sizes) <= IMPORTED
    assert fitted.wrapped.form is form
    assert len(fitted.config.records) == len(cache.config.records) - loss.records
    assert len(fitted.config.layers) == len(cache.config.layers) - loss.layers
    assert loss.old > 0
    again = CacheChains.parse(fitted.wrapped.config, fitted.layers, fitted.provider)
    assert again.marshal()[0] == fitted.config


def test_the_oldest_branch_goes_as_far_as_it_has_to():
    chains = CacheChains()
    base = chains.add(Digest.of(b"base"))
    branch(chains, base, "new", 50, 60)
    branch(chains, base, "old", 10, 20, 30)
    branch(chains, base, "mixed", 5, 70)
    fitted, loss = fit(prepare_chains(chains, CommonExport()), Limits(layers=6))
    assert steps(fitted, "new", "old", "mixed") == {
        *("new 0", "new 1", "old 0", "old 1", "mixed 0", "mixed 1")
    }
    assert loss.old == loss.results == loss.layers == 1
    assert (loss.oldest, loss.newest) == (Timestamp(30), Timestamp(30))


def test_what_leads_to_no_result_goes_first():
    chains = CacheChains()
    base = chains.add(Digest.of(b"base"))
    branch(chains, base, "dead", None, None)
    branch(chains, base, "half", 10, None)
    fitted, loss = fit(prepare_chains(chains, CommonExport()), Limits())
    assert steps(fitted, "dead", "half") == {"half 0"}
    assert (loss.dead, loss.old, loss.results) == (3, 0, 0)


def test_a_result_that_depends_on_what_went_is_not_kept():
    chains = CacheChains()
    base = chains.add(Digest.of(b"base"))
    branch(chains, base, "a", 10, 40)
    branch(chains, base, "b", 20, 30)
    for layers in range(4):
        fitted, _ = fit(prepare_chains(chains, CommonExport()), Limits(layers=layers))
        left = steps(fitted, "a", "b")
        assert len(left) == layers
        assert "a 1" not in left or "a 0" in left


def test_a_merged_cache_stays_tied_within_the_limit():
    several = []
    for name in ("a", "b"):
        chains = CacheChains()
        for number in range(20):
            branch(chains, chains.add(Digest.of(b"base")), f"{name}{number}", number, number)
        several.append(prepare_chains(chains, CommonExport()))
    cache = prepare_chains(merge_caches(several), CommonExport())
    limit = len(cache.wrapped.config) // 2
    fitted, _ = fit(cache, Limits(size=limit))
    assert is_tied(fitted.config)
    assert limit * 0.8 < max(len(fitted.wrapped.config), len(fitted.wrapped.manifest)) <= limit


def test_a_joined_record_that_another_stands_in_for_goes():
    chains = CacheChains()
    chains.merged = True
    left, right = (chains.add(Digest.of(name)) for name in (b"l", b"r"))
    remote = Remote([Descriptor.of(b"x", mediatype.OCI_LAYER)], MemoryContent([b"x"]))
    results = [CacheResult(Timestamp(1), remote)]
    for links in ([left], [right], [left, right]):
        step = chains.add(Digest.of(b"step"), [[CacheLink(link) for link in links]], results)
    chains.add(Digest.of(b"top"), [[CacheLink(step)]], results)
    cache = prepare_chains(chains, CommonExport())
    fitted, loss = fit(cache, Limits())
    assert [r.digest for r in untied(cache.config).records].count(Digest.of(b"step")) == 2
    assert [r.digest for r in untied(fitted.config).records].count(Digest.of(b"step")) == 1
    assert (loss.covered, loss.dead, loss.old) == (1, 0, 0)
    assert len(untied(fitted.config).records) == 4
