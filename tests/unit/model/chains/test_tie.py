from cachexport import CacheChains, CacheLink, Digest
from cachexport.model.chains.tie import TIE, is_tied, tie_ends, untied
from cachexport.model.config import CacheConfig, CacheInput


def fork(ends: int) -> CacheChains:
    """Give a graph in which `ends` records stand on one base."""
    chains = CacheChains()
    base = chains.add(Digest.of(b"base"))
    for number in range(ends):
        chains.add(Digest.of(b"end %d" % number), [[CacheLink(base)]])
    return chains


def test_a_tie_depends_on_every_end_and_on_nothing_else():
    config, _ = fork(3).marshal()
    tied = tie_ends(config)
    *others, tie = tied.records
    assert tuple(others) == config.records
    assert (tie.digest, tie.results, tie.chained_results) == (TIE, (), ())
    ends = [n for n, record in enumerate(config.records) if record.inputs]
    assert tie.inputs == tuple((CacheInput(link=end),) for end in ends)
    assert CacheConfig(records=untied(tied).records) == config


def test_one_end_needs_no_tie():
    for ends in (0, 1):
        config, _ = fork(ends).marshal()
        assert tie_ends(config) is config
        assert not is_tied(config)
    assert tie_ends(CacheConfig()) == CacheConfig()


def test_a_tie_is_no_part_of_the_graph():
    config, _ = fork(4).marshal()
    chains = CacheChains.parse(tie_ends(config), [])
    assert chains.merged
    assert chains.marshal()[0] == config


def test_chains_know_whether_they_were_merged():
    config, _ = fork(2).marshal()
    chains = CacheChains.parse(config, [])
    assert not chains.merged
    chains.merge(config, [])
    assert chains.merged
