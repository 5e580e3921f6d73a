"""What is left of a compacted cache answers as it did before, and all of it can be used."""

from __future__ import annotations

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.builds import builds, cache_of, projects

from cachexport import CacheChains, CacheLink, CacheResult, Descriptor, Digest, Remote, Timestamp
from cachexport.contract.export import CommonExport
from cachexport.model.chains.compact import shrink, tidy
from cachexport.model.chains.tie import untied
from cachexport.testing.meaning import Index
from cachexport.transfer.fit import Limits, fit
from cachexport.transfer.prepare import prepare_merged


@st.composite
def graphs(draw):
    """Give a config of records that share digests, links, layers and instants at will."""
    chains = CacheChains()
    chains.merged = True
    records, remotes = [], []
    for number in range(draw(st.integers(1, 9))):
        links = st.builds(CacheLink, st.sampled_from(records)) if records else st.nothing()
        some = st.lists(links, min_size=1, max_size=2)
        deps = draw(st.lists(some, min_size=1, max_size=2)) if records else []
        results = []
        if draw(st.booleans()):
            desc = Descriptor(digest=Digest.of(b"%d" % number), size=1)
            below = draw(st.sampled_from([None, *remotes]))
            remotes.append(Remote([desc]) if below is None else below.stack(desc))
            results = [CacheResult(Timestamp(draw(st.integers(0, 4))), remotes[-1])]
        digest = Digest.of(b"%d/%d" % (draw(st.integers(0, 2)), len(deps)))
        records.append(chains.add(digest, deps, results))
    return chains.marshal()[0]


def answers(config):
    """Give all that a build can be answered, asked step by step as it goes."""
    index = Index.of(config)
    found = {}
    pending = [(("root", r.digest), index.roots(r.digest)) for r in config.records if not r.inputs]
    while pending:
        question, numbers = pending.pop()
        if question in found or not numbers or len(question[-1]) > 200:
            continue
        found[question] = index.newest(numbers)
        for record in config.records:
            if len(record.inputs) == 1 and any(x.link in numbers for x in record.inputs[0]):
                for selector in {x.selector for x in record.inputs[0]}:
                    asked = index.find(record.digest, ((numbers, selector),))
                    pending.append(((question, record.digest, selector), asked))
    return found


def part_of(left, whole):
    """Say whether each record of `left` is one of `whole`, on the same ancestors."""
    a, b = paths(left), paths(whole)
    return a.keys() <= b.keys() and all(a[key] in (None, b[key]) for key in a)


def paths(config):
    index = Index.of(config)
    return {name: index.newest(frozenset([n])) for n, name in enumerate(names(config))}


def names(config):
    """Give each record a name that tells all that it depends on."""
    known = {}
    for number in order(config):
        record = config.records[number]
        inputs = tuple(
            tuple(sorted((known[x.link], x.selector) for x in links)) for links in record.inputs
        )
        known[number] = Digest.of(repr((record.digest, inputs)).encode())
    return [known[number] for number in range(len(config.records))]


def order(config):
    done = []
    while len(done) < len(config.records):
        for number, record in enumerate(config.records):
            links = {x.link for links in record.inputs for x in links}
            if number not in done and links <= set(done):
                done.append(number)
    return done


@settings(max_examples=60)
@given(graphs())
def test_what_is_dropped_for_nothing_costs_no_answer(config):
    left = tidy(config).config
    before, after = answers(config), answers(left)
    assert {q: a for q, a in before.items() if a} == {q: a for q, a in after.items() if a}


@settings(max_examples=60)
@given(graphs(), st.integers(0, 9))
def test_what_is_left_answers_as_before_and_is_whole(config, most):
    left = shrink(config, lambda part: len(part.records) <= most).config
    assert len(left.records) <= most
    before, after = answers(config), answers(left)
    assert all(before[question] == answer for question, answer in after.items() if answer)
    descs = [Descriptor(digest=Digest.parse(layer.blob), size=1) for layer in left.layers]
    again = CacheChains.parse(left, descs).marshal()[0]
    assert sum(map(len, (r.results for r in again.records))) == sum(
        map(len, (r.results for r in left.records))
    )


@settings(max_examples=60)
@given(graphs(), st.floats(0, 1))
def test_no_more_is_dropped_than_has_to_be_and_the_oldest_goes_first(config, share):
    lean = tidy(config).config
    most = max(1, int(share * len(lean.records)))
    left = shrink(config, lambda part: len(part.records) <= most).config
    if not left.records or left == lean:
        return
    assert part_of(left, lean)
    kept, of_any = paths(left), ages(lean)
    gone = [of_any[key] for key, newest in paths(lean).items() if newest and key not in kept]
    assert max(gone) <= min(of_any[key] for key in kept)


def ages(config):
    """Give for each record the newest result of it and of all that depends on it."""
    own = [max((x.created_at for x in r.results), default=None) for r in config.records]
    for number in reversed(order(config)):
        for link in {x.link for links in config.records[number].inputs for x in links}:
            own[link] = max(time for time in (own[link], own[number]) if time)
    return dict(zip(names(config), own, strict=True))


@settings(max_examples=60)
@given(st.data())
def test_it_fits_to_the_byte_and_again_changes_nothing(data):
    steps = data.draw(projects())
    several = [cache_of(steps, data.draw(builds(steps))) for _ in range(2)]
    cache = prepare_merged(several, CommonExport())
    limit = data.draw(st.integers(200, max(200, len(cache.wrapped.manifest))))
    fitted, loss = fit(cache, Limits(size=limit))
    assume(fitted.config.records)
    assert max(len(fitted.wrapped.config), len(fitted.wrapped.manifest)) <= limit
    assert len(untied(cache.config).records) - len(untied(fitted.config).records) == loss.records
    again, nothing = fit(fitted, Limits(size=limit))
    assert again.wrapped == fitted.wrapped
    assert (nothing.records, nothing.results, nothing.layers) == (0, 0, 0)
