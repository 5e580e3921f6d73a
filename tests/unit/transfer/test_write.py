import io
import json
import logging
import threading
from dataclasses import dataclass, replace

import pytest
from support.targets import Recorder

from cachexport import (
    CacheChains,
    CacheLink,
    CacheResult,
    Descriptor,
    Digest,
    Exporter,
    MemoryContent,
    Remote,
)
from cachexport.content.layers.codecs import compress
from cachexport.content.parallel import map_parallel
from cachexport.content.progress import Event, step
from cachexport.contract.export import CommonExport
from cachexport.contract.reading import read_caches
from cachexport.errors import Integrity, NotFound, TransferError
from cachexport.model.envelope.manifest import (
    Form,
)
from cachexport.oci import mediatype
from cachexport.oci.compression import Compression
from cachexport.transfer.importer import load_caches
from cachexport.transfer.prepare import merge_caches, prepare, prepare_chains
from cachexport.transfer.write import write

LAYERS = [b"layer %d" % number for number in range(8)]


def graph(blobs=tuple(LAYERS), provider=None):
    provider = MemoryContent(blobs) if provider is None else provider
    chains = CacheChains()
    record = remote = None
    for number, raw in enumerate(blobs):
        desc = Descriptor.of(raw, mediatype.OCI_LAYER)
        remote = remote.stack(desc) if remote else Remote([desc], provider)
        links = [[CacheLink(record)]] if record else []
        at = f"2026-01-01T00:00:{number:02d}Z"
        record = chains.add(Digest.of(b"record %d" % number), links, [CacheResult(at, remote)])
    return chains


@pytest.mark.parametrize("threads", range(1, 17))
def test_layers_come_first_then_config_manifest_and_name(threads):
    target = Recorder()
    response = write(prepare_chains(graph(), CommonExport()), target, threads=threads)
    assert target.order == [
        *[mediatype.OCI_LAYER] * len(LAYERS),
        mediatype.CACHE_CONFIG_V0,
        mediatype.OCI_MANIFEST,
        "name",
    ]
    desc = Descriptor.decode(json.loads(response["cache.manifest"]))
    assert desc == target.published.wrapped.descriptor
    [cache] = read_caches(target.content, desc)
    assert merge_caches([cache]).marshal()[0].encode() == cache.wrapped.config


def test_layers_that_are_there_are_not_said_to_be_written():
    target = Recorder()
    cache = prepare_chains(graph(), CommonExport())
    write(cache, target)
    events: list[Event] = []
    write(cache, target, events.append)
    assert [event.step for event in events if event.state == "done"] == [
        f"skipping {len(LAYERS)} of {len(LAYERS)} layers, which are there already",
        f"writing config {cache.wrapped.config_descriptor.digest}",
        f"writing cache image manifest {cache.wrapped.descriptor.digest}",
    ]


def test_messages_are_buildkits():
    events: list[Event] = []
    cache = prepare_chains(graph(), CommonExport())
    write(cache, Recorder(), events.append)
    started = [event.step for event in events if event.state == "started"]
    assert sorted(started[:-2]) == sorted(f"writing layer {Digest.of(raw)}" for raw in LAYERS)
    assert started[-2:] == [
        f"writing config {cache.wrapped.config_descriptor.digest}",
        f"writing cache image manifest {cache.wrapped.descriptor.digest}",
    ]
    assert [event.step for event in events if event.state == "done"][-2:] == started[-2:]
    assert {event.step for event in events if event.state == "done"} == set(started)


@pytest.mark.parametrize("form", [Form.OCI_INDEX, Form.DOCKER_LIST])
def test_other_forms_have_another_message(form):
    events: list[Event] = []
    common = CommonExport(image_manifest=False, oci_mediatypes=form is not Form.DOCKER_LIST)
    cache = prepare_chains(graph(), common)
    write(cache, Recorder(), events.append)
    assert events[-1].step == f"writing cache manifest {cache.wrapped.descriptor.digest}"


def test_nothing_is_written_for_an_empty_result(caplog):
    chains = CacheChains()
    chains.add(Digest.of(b"a"))
    events: list[Event] = []
    target = Recorder()
    assert write(prepare_chains(chains, CommonExport()), target, events.append) == {}
    assert [event.step for event in events] == ["skipping cache export for empty result"] * 2
    assert target.order == []
    assert "failed to match any cache with layers" in caplog.text


def test_what_is_there_is_not_sent_again():
    target = Recorder(content=MemoryContent(LAYERS[:5]))
    write(prepare_chains(graph(), CommonExport()), target)
    assert target.order.count(mediatype.OCI_LAYER) == 3


@pytest.mark.parametrize(
    "kind", [mediatype.OCI_LAYER, mediatype.CACHE_CONFIG_V0, mediatype.OCI_MANIFEST]
)
def test_a_target_that_fails_is_blamed_and_names_nothing(kind):
    target = Recorder(fail_on=kind)
    with pytest.raises(TransferError, match="to the target: disk full") as raised:
        write(prepare_chains(graph(), CommonExport()), target)
    assert raised.value.origin == "destination"
    assert "name" not in target.order


class WithoutInfo:
    """A provider that cannot tell beforehand what it has."""

    def __init__(self, blobs):
        self.open = MemoryContent(blobs).open


def test_a_blob_that_the_source_lacks_is_named():
    target = Recorder()
    chains = graph(provider=WithoutInfo(LAYERS[1:]))
    with pytest.raises(Integrity, match=f"missing blob {Digest.of(LAYERS[0])}"):
        write(prepare_chains(chains, CommonExport()), target)
    assert "name" not in target.order
    with pytest.raises(Integrity, match="no provider"):
        chains = CacheChains()
        remote = Remote([Descriptor.of(b"x", mediatype.OCI_LAYER)])
        chains.add(Digest.of(b"r"), results=[CacheResult("2026-01-01T00:00:00Z", remote)])
        write(prepare_chains(chains, CommonExport()), target)


def test_a_corrupt_blob_is_named():
    class Corrupt(MemoryContent):
        def open(self, desc, /):
            return super().open(replace(desc, digest=Digest.of(LAYERS[0])))

    target = Recorder()
    with pytest.raises(Integrity, match="corrupt"):
        write(prepare_chains(graph(provider=Corrupt(LAYERS)), CommonExport()), target)
    assert "name" not in target.order


def exported(chains, **common):
    target = Recorder(common=CommonExport(**common))
    write(prepare_chains(chains, target.common), target)
    return read_caches(target.content, target.published.wrapped.descriptor)[0]


@pytest.mark.parametrize("compression", Compression)
def test_force_compression_converts_every_layer(compression):
    original = exported(graph())
    common = CommonExport(compression=compression, force_compression=True)
    target = Recorder(common=common)
    write(prepare([original], common), target)
    [cache] = read_caches(target.content, target.published.wrapped.descriptor)
    assert {desc.media_type for desc in cache.layers} == {compression.media_type}
    diff_ids = {desc.diff_id or desc.digest for desc in cache.layers}
    assert diff_ids == {Digest.of(raw) for raw in LAYERS}
    assert len(cache.config.records) == len(LAYERS)
    same = cache.wrapped == original.wrapped
    assert same is (compression is Compression.UNCOMPRESSED)


def test_force_compression_alone_means_gzip():
    common = CommonExport(force_compression=True)
    target = Recorder(common=common)
    write(prepare([exported(graph())], common), target)
    assert {d.media_type for d in target.published.layers} == {mediatype.OCI_LAYER_GZIP}


def test_compression_without_force_changes_nothing_and_says_so(caplog):
    caplog.set_level(logging.INFO)
    common = CommonExport(compression=Compression.ZSTD)
    target = Recorder(common=common)
    original = exported(graph())
    write(prepare([original], common), target)
    assert target.published.wrapped == original.wrapped
    assert "force-compression=true" in caplog.text


def test_one_source_keeps_its_bytes_even_if_they_are_not_canonical():
    original = exported(graph())
    odd = original.wrapped.config.replace(b'{"layers"', b'{ "layers"')
    cache = replace(original, wrapped=replace(original.wrapped, config=odd))
    for common in (CommonExport(), CommonExport(mode="max"), CommonExport(mode="min")):
        assert prepare([cache], common).wrapped.config == odd
    changed = prepare([cache], CommonExport(image_manifest=False)).wrapped
    assert (changed.config, changed.form) == (odd, Form.OCI_INDEX)


def test_several_sources_are_one_graph():
    one, two = exported(graph(LAYERS[:4])), exported(graph())
    merged = prepare([one, two], CommonExport()).wrapped
    assert merged == two.wrapped == prepare([two, one], CommonExport()).wrapped


@dataclass
class Named:
    caches: tuple = ()

    def load(self):
        if not self.caches:
            raise NotFound("no tag latest")
        return self.caches


def test_a_source_that_is_not_there_is_a_warning(caplog):
    cache = exported(graph())
    assert load_caches([("a", Named()), ("b", Named((cache,)))]) == [cache]
    assert "skipping a: no tag latest" in caplog.text


def test_it_is_an_error_when_none_is_there():
    with pytest.raises(NotFound, match="no cache to import: a: no tag latest; b: no tag"):
        load_caches([("a", Named()), ("b", Named())])


def test_an_exporter_takes_records_and_answers():
    content = MemoryContent()
    exporter = Exporter(content, common=CommonExport(image_manifest=False))
    remote = Remote([Descriptor.of(b"x", mediatype.OCI_LAYER)], MemoryContent([b"x"]))
    root = exporter.add(Digest.of(b"root"))
    result = CacheResult("2026-01-01T00:00:00Z", remote)
    exporter.add(Digest.of(b"step"), [[CacheLink(root)]], [result])
    desc = Descriptor.decode(json.loads(exporter.finalize()["cache.manifest"]))
    assert desc.media_type == mediatype.OCI_INDEX
    [cache] = read_caches(content, desc)
    assert len(cache.config.records) == 2


@pytest.mark.parametrize("compression", Compression)
def test_a_layer_without_diff_id_gets_it(compression):
    plain = b"some layer"
    packed = b"".join(compress(io.BytesIO(plain), compression))
    desc = Descriptor.of(packed, compression.media_type)
    chains = CacheChains()
    remote = Remote([desc], MemoryContent([packed]))
    chains.add(Digest.of(b"r"), results=[CacheResult("2026-01-01T00:00:00Z", remote)])
    [layer] = exported(chains).layers
    assert layer.diff_id == Digest.of(plain)
    assert layer.digest == desc.digest


def test_the_first_failure_stops_what_has_not_begun():
    begun = []
    gate = threading.Event()

    def work(number):
        begun.append(number)
        if number == 1:
            gate.set()
            raise OSError("first")
        gate.wait()
        if number == 0:
            raise OSError("second")
        return number

    with pytest.raises(OSError, match=r"first|second") as raised:
        map_parallel(work, range(100), threads=2)
    assert len(begun) < 100
    assert len(raised.value.__notes__) == 1


def test_alike_failures_are_told_once():
    barrier = threading.Barrier(4)

    def work(number):
        barrier.wait()
        raise TransferError(f"blob {number}", op="x", origin="source") from OSError("disk full")

    with pytest.raises(TransferError) as raised:
        map_parallel(work, range(4), threads=4)
    assert not hasattr(raised.value, "__notes__")


def test_what_was_not_begun_is_no_failure():
    def work(number):
        raise OSError("first")

    for _ in range(50):
        with pytest.raises(OSError, match="first") as raised:
            map_parallel(work, range(20), threads=4)
        assert not hasattr(raised.value, "__notes__")


def test_results_come_in_the_order_of_the_items():
    assert map_parallel(lambda n: n * n, range(50), threads=8) == [n * n for n in range(50)]


def test_a_step_that_fails_says_so():
    events: list[Event] = []
    with pytest.raises(OSError, match="gone"), step(events.append, "doing", 10) as moved:
        moved(3)
        raise OSError("gone")
    assert events == [
        Event("doing", "started", 0, 10),
        Event("doing", "moved", 3, 10),
        Event("doing", "done", 3, 10, "gone"),
    ]
