"""Depth and size: no recursion, no copying per depth."""

import sys

from cachexport import CacheChains, CacheLink, CacheResult, Descriptor, Digest, Remote, Timestamp


def chain(depth):
    chains = CacheChains()
    record = remote = None
    for number in range(depth):
        desc = Descriptor(media_type="m", digest=Digest.of(b"layer %d" % number), size=1)
        remote = Remote([desc]) if remote is None else remote.stack(desc)
        links = [] if record is None else [[CacheLink(record)]]
        made = CacheResult(Timestamp(number), remote)
        record = chains.add(Digest.of(b"record %d" % number), links, [made])
    return chains


def test_a_chain_deeper_than_the_stack():
    depth = 5 * sys.getrecursionlimit()
    chains = chain(depth)
    config, sources = chains.marshal()
    assert (len(config.records), len(config.layers)) == (depth, depth)
    parsed = CacheChains.parse(config.encode(), sources)
    parsed.merge(config.encode(), sources)
    assert len(parsed) == depth
    assert parsed.marshal()[0].encode() == config.encode()
    assert parsed.marshal("min")[0].encode() == config.encode()


def calls(action):
    """Count the function calls that an action makes: a measure of work that no load disturbs."""
    count = 0

    def profile(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


def work(depth):
    def action():
        config, sources = chain(depth).marshal()
        CacheChains.parse(config.encode(), sources).marshal()

    return calls(action)


def test_work_grows_with_the_size_not_with_the_depth():
    work(10)
    small, large = work(200), work(2000)
    assert large < 11 * small


def test_merging_the_same_again_costs_no_search():
    config, sources = chain(2000).marshal()
    parsed = CacheChains.parse(config, sources)
    first = calls(lambda: CacheChains.parse(config, sources))
    again = calls(lambda: parsed.merge(config, sources))
    assert again < 2 * first


def test_many_results_of_one_record_are_not_compared_with_each_other():
    def add(count):
        chains = CacheChains()
        desc = Descriptor(media_type="m", digest=Digest.of(b"x"), size=1)
        results = [CacheResult(Timestamp(number), Remote([desc])) for number in range(count)]
        return lambda: chains.add(Digest.of(b"r"), results=results)

    assert calls(add(4000)) < 11 * calls(add(400))


def test_many_records_of_one_digest_may_hang_under_one_base():
    # Looking at all records of the digest each time would take longer than a test may.
    chains = CacheChains()
    base = chains.add(Digest.of(b"base"))
    for number in range(20_000):
        other = chains.add(Digest.of(b"%d" % number))
        chains.add(Digest.of(b"same"), [[CacheLink(base)], [CacheLink(other)]])
    assert len(chains) == 40_001
