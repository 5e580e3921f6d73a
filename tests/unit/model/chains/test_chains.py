import datetime as dt
import gc

import pytest

from cachexport import (
    CacheChains,
    CacheLink,
    CacheResult,
    Descriptor,
    Digest,
    MemoryContent,
    Remote,
)
from cachexport.errors import (
    BackendError,
    CachexportError,
    ForeignRecord,
    InvalidDigest,
    InvalidInputError,
    Loop,
    WireFormat,
)
from cachexport.model.chains import BlobSource
from cachexport.oci.descriptor import UNCOMPRESSED

EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000001Z"


def name(text):
    return Digest.of(text.encode())


def blob(text, **annotations):
    return Descriptor(media_type="m", digest=name(text), size=1, annotations=annotations)


def result(at, *blobs, provider=None):
    return CacheResult(at, Remote([blob(text) for text in blobs], provider))


def records(chains, mode="max"):
    """Give digest -> blobs of the result, bottom first, of what is marshalled."""
    config, _ = chains.marshal(mode)

    def stack(number):
        layer = config.layers[number]
        return [*(stack(layer.parent) if layer.parent >= 0 else []), layer.blob]

    return {r.digest: [stack(x.layer) for x in r.results] for r in config.records}


def test_an_empty_graph_is_an_empty_object():
    config, sources = CacheChains().marshal()
    assert config.encode() == b"{}"
    assert sources == {}


def test_what_is_random_is_not_stored():
    chains = CacheChains()
    assert chains.add("random:abc") is None
    assert len(chains) == 0
    with pytest.raises(ForeignRecord, match="None"):
        chains.add(name("a"), [[CacheLink(chains.add("random:abc"))]])
    assert len(chains) == 0


@pytest.mark.parametrize("digest", ["", "a", "sha256:zz", "sha256:" + "A" * 64])
def test_a_digest_is_checked(digest):
    with pytest.raises(InvalidDigest):
        CacheChains().add(digest)


def test_a_link_has_to_be_to_a_record_of_the_same_chains():
    stranger = CacheChains().add(name("a"))
    with pytest.raises(ForeignRecord, match="other chains"):
        CacheChains().add(name("b"), [[CacheLink(stranger)]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda record: {"digest": None}, "not a digest"),
        (lambda record: {"deps": [CacheLink(record)]}, "a list of links for each input"),
        (lambda record: {"deps": [[record]]}, "a list of links for each input"),
        (lambda record: {"deps": [[CacheLink("x")]]}, "links to a str"),
        (lambda record: {"results": [Remote([blob("x")])]}, "CacheResult"),
    ],
)
def test_wrong_kinds_of_arguments_are_told(arguments, message):
    chains = CacheChains()
    record = chains.add(name("a"))
    with pytest.raises(CachexportError, match=message):
        chains.add(**{"digest": name("b"), **arguments(record)})


def test_an_input_needs_a_link():
    with pytest.raises(InvalidInputError, match="without links"):
        CacheChains().add(name("a"), [[]])


def test_a_result_needs_a_layer():
    with pytest.raises(InvalidInputError, match="at least one layer"):
        Remote([])


def test_a_root_added_twice_is_one_record():
    chains = CacheChains()
    first = chains.add(name("a"), results=[result(EARLY, "x")])
    assert chains.add(name("a"), results=[result(LATE, "y")]) is first
    assert records(chains) == {name("a"): [[name("y")]]}


def test_the_same_record_is_found_through_any_link():
    chains = CacheChains()
    a, b, c = (chains.add(name(text)) for text in "abc")
    both = chains.add(name("d"), [[CacheLink(a), CacheLink(b, "s")]])
    assert chains.add(name("d"), [[CacheLink(b, "s"), CacheLink(c)]]) is both
    assert chains.add(name("d"), [[CacheLink(c)]]) is both
    assert chains.add(name("d"), [[CacheLink(b)]]) is not both
    assert chains.add(name("d"), [[CacheLink(a)], [CacheLink(b)]]) is not both


def test_joined_records_share_children_and_results():
    chains = CacheChains()
    a, b = chains.add(name("a")), chains.add(name("b"))
    under_a = chains.add(name("d"), [[CacheLink(a)]], [result(EARLY, "x")])
    under_b = chains.add(name("d"), [[CacheLink(b)]], [result(LATE, "y")])
    chains.add(name("child of a"), [[CacheLink(under_a)]])
    chains.add(name("child of b"), [[CacheLink(under_b)]])
    joined = chains.add(name("d"), [[CacheLink(a), CacheLink(b)]])
    assert joined is under_a
    config, _ = chains.marshal()
    digests = [record.digest for record in config.records]
    assert digests.count(name("d")) == 1
    [d] = [record for record in config.records if record.digest == name("d")]
    assert {digests[link.link] for link in d.inputs[0]} == {name("a"), name("b")}
    assert records(chains)[name("d")] == [[name("y")]]
    for child in ("child of a", "child of b"):
        [record] = [record for record in config.records if record.digest == name(child)]
        assert digests[record.inputs[0][0].link] == name("d")


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_loop_is_never_made(depth):
    chains = CacheChains()
    root = chains.add(name("root"))
    top = first = chains.add(name("0"), [[CacheLink(root)]])
    for number in range(1, depth):
        top = chains.add(name(str(number)), [[CacheLink(top)]])
    again = chains.add(name("0"), [[CacheLink(root), CacheLink(top, "s"), CacheLink(first)]])
    assert again is first
    config, sources = chains.marshal()
    CacheChains.parse(config.encode(), sources)
    [record] = [record for record in config.records if record.digest == name("0")]
    assert len(record.inputs[0]) == 1


def test_joining_a_record_with_its_own_descendant_makes_no_loop():
    # BuildKit may join them either way round, and loses everything the one time.
    chains = CacheChains()
    root = chains.add(name("root"))
    above = chains.add(name("d"), [[CacheLink(root)]], [result(EARLY, "x")])
    middle = chains.add(name("m"), [[CacheLink(above)]])
    below = chains.add(name("d"), [[CacheLink(middle)]], [result(LATE, "y")])
    assert chains.add(name("d"), [[CacheLink(root), CacheLink(middle)]]) is above
    assert below is not above
    config, sources = chains.marshal()
    CacheChains.parse(config.encode(), sources)
    assert {record.digest for record in config.records} == {name("root"), name("d"), name("m")}


def test_two_results_of_one_instant_are_two_if_their_blobs_differ():
    chains = CacheChains()
    record = chains.add(name("a"), results=[result(EARLY, "x"), result(EARLY, "y")])
    assert len(record.results) == 2
    chains.add(name("a"), results=[result(EARLY, "y")])
    assert len(record.results) == 2
    assert records(chains) == {name("a"): [[name("x")]]}


@pytest.mark.parametrize("at", [EARLY, dt.datetime(2026, 1, 1, tzinfo=dt.UTC)])
def test_times_come_as_text_or_as_datetime(at):
    chains = CacheChains()
    chains.add(name("a"), results=[CacheResult(at, Remote([blob("x")]))])
    assert b'"createdAt":"2026-01-01T00:00:00Z"' in chains.marshal()[0].encode()


def test_layers_are_shared_by_blob_and_parents():
    chains = CacheChains()
    root = chains.add(name("r"), results=[result(EARLY, "x")])
    chains.add(name("a"), [[CacheLink(root)]], [result(EARLY, "x", "y")])
    chains.add(name("b"), [[CacheLink(root)]], [result(EARLY, "y")])
    chains.add(name("c"), [[CacheLink(root)]], [result(EARLY, "x", "y")])
    config, sources = chains.marshal()
    assert sorted((layer.blob, layer.parent >= 0) for layer in config.layers) == sorted(
        [(name("x"), False), (name("y"), True), (name("y"), False)]
    )
    assert set(sources) == {name("x"), name("y")}


class Content(MemoryContent):
    """Counts look-ups, and can fail at them."""

    def __init__(self, blobs, error=None):
        super().__init__(blobs)
        self.asked = 0
        self.error = error

    def info(self, digest, /):
        self.asked += 1
        if self.error:
            raise self.error
        return super().info(digest)


def test_a_result_with_a_blob_that_is_gone_is_left_out(caplog):
    provider = Content([b"x", b"z"])
    chains = CacheChains()
    root = chains.add(name("r"), results=[result(EARLY, "x", provider=provider)])
    chains.add(name("a"), [[CacheLink(root)]], [result(EARLY, "x", "y", "z", provider=provider)])
    assert records(chains) == {name("r"): [[name("x")]], name("a"): []}
    assert set(chains.marshal()[1]) == {name("x")}
    assert f"blobs which are not there: {name('y')}" in caplog.text
    assert str(name("x")) not in caplog.text


def test_a_provider_that_fails_otherwise_is_heard():
    provider = Content([b"x"], BackendError("no answer", op="stat"))
    chains = CacheChains()
    chains.add(name("r"), results=[result(EARLY, "x", provider=provider)])
    with pytest.raises(BackendError, match="no answer"):
        chains.marshal()


def test_shared_layers_are_looked_up_once():
    provider = Content([b"%d" % i for i in range(50)])
    chains = CacheChains()
    remote = record = None
    for i in range(50):
        remote = remote.stack(blob(str(i))) if remote else Remote([blob(str(i))], provider)
        links = [[CacheLink(record)]] if record else []
        record = chains.add(name(f"r{i}"), links, [CacheResult(EARLY, remote)])
    chains.marshal()
    assert provider.asked == 50


def test_mode_min_keeps_what_leads_to_a_leafs_result():
    chains = CacheChains()
    source = chains.add(name("source"), results=[result(EARLY, "src")])
    base = chains.add(name("base"), results=[result(EARLY, "x")])
    step = chains.add(name("step"), [[CacheLink(base)]], [result(EARLY, "x", "y")])
    side = chains.add(name("side"), [[CacheLink(step)]], [result(EARLY, "x", "y", "w")])
    links = [[CacheLink(side)], [CacheLink(source)]]
    chains.add(name("leaf"), links, [result(EARLY, "x", "y", "z")])
    kept = {digest for digest, found in records(chains, "min").items() if found}
    assert kept == {name("base"), name("step"), name("leaf")}
    assert len(records(chains, "min")) == 5


def test_mode_min_compares_diff_ids():
    def layer(text, content):
        return blob(text, **{UNCOMPRESSED: name(content)})

    chains = CacheChains()
    base = chains.add(name("base"), results=[CacheResult(EARLY, Remote([layer("gz", "x")]))])
    leaf = CacheResult(EARLY, Remote([layer("zst", "x"), layer("y", "y")]))
    chains.add(name("leaf"), [[CacheLink(base)]], [leaf])
    assert records(chains, "min")[name("base")] == [[name("gz")]]


def parse(config, *sources):
    return CacheChains.parse(config, [blob(text) for text in sources])


def test_an_older_result_counts_when_the_newer_lacks_a_layer():
    config = (
        f'{{"layers":[{{"blob":"{name("x")}","parent":-1}},{{"blob":"{name("y")}"}}],"records":'
        f'[{{"layers":[{{"layer":0,"createdAt":"{EARLY}"}},{{"layer":1,"createdAt":"{LATE}"}}],'
        f'"digest":"{name("r")}"}}]}}'
    ).encode()
    assert records(parse(config, "x", "y")) == {name("r"): [[name("x"), name("y")]]}
    assert records(parse(config, "x")) == {name("r"): [[name("x")]]}
    assert records(parse(config, "y")) == {name("r"): []}


def test_where_a_config_is_wrong_is_said():
    with pytest.raises(
        WireFormat, match=r"no such record: 3 at records\[0\].inputs\[0\]\[0\].link"
    ):
        parse(b'{"records":[{"digest":"a","inputs":[[{"link":3}]]}]}')
    with pytest.raises(Loop, match=r"records\[0\] depends on itself, through records\[1\]"):
        parse(
            b'{"records":[{"digest":"a","inputs":[[{"link":1}]]},'
            b'{"digest":"b","inputs":[[{"link":0}]]}]}'
        )


def test_descriptors_come_back_with_their_providers():
    provider = MemoryContent([b"x"])
    chains = CacheChains()
    chains.add(name("r"), results=[result(EARLY, "x", provider=provider)])
    assert chains.marshal()[1] == {name("x"): BlobSource(blob("x"), provider)}


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_left_as_it_was(enabled):
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        chains = CacheChains.parse(b"{}", {})
        chains.marshal()
        with pytest.raises(WireFormat):
            chains.merge(b"x", {})
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_what_add_would_give_is_found_and_nothing_is_made():
    chains = CacheChains()
    base, other = chains.add(name("base")), chains.add(name("other"))
    step = chains.add(name("step"), [[CacheLink(base, "/a")]])
    twice = chains.add(name("step"), [[CacheLink(other)]])
    assert chains.find(name("base")) == (base,)
    assert chains.find(name("step"), [[CacheLink(base, "/a")]]) == (step,)
    assert chains.find(name("step"), [[CacheLink(base, "/a"), CacheLink(other)]]) == (step, twice)
    assert chains.find(name("step"), [[CacheLink(base)]]) == ()
    assert chains.find(name("step")) == chains.find(name("none")) == ()
    assert len(chains) == 4
    with pytest.raises(ForeignRecord):
        chains.find(name("step"), [[CacheLink(CacheChains().add(name("base")))]])
