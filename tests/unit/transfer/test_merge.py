"""Merging into a name while others write it too."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.clock import wait_for_nothing
from support.targets import Recorder

from cachexport import (
    CacheChains,
    CacheLink,
    CacheResult,
    Descriptor,
    Digest,
    MemoryContent,
    Remote,
    copy_cache,
    export_cache,
    import_cache,
)
from cachexport.content.clock import Clock, using_clock
from cachexport.contract.export import CommonExport
from cachexport.errors import Integrity, NotFound, Outdated, WireFormat
from cachexport.model.chains.tie import is_tied
from cachexport.model.envelope.manifest import (
    Form,
)
from cachexport.oci import mediatype
from cachexport.transfer.prepare import prepare_chains
from cachexport.transfer.write import write

if TYPE_CHECKING:
    from pathlib import Path

    from cachexport.model.envelope.cache import WrappedCache

MERGE = CommonExport(merge=True)


def build(name: str, at: int = 0, layer: str = "") -> CacheChains:
    """Give what a build left: a base that all share, and a step with a layer of its own."""
    blob = (layer or name).encode()
    desc = Descriptor.of(blob, mediatype.OCI_LAYER)
    chains = CacheChains()
    base = chains.add(Digest.of(b"base"))
    result = CacheResult(f"2026-01-01T00:00:{at:02d}Z", Remote([desc], MemoryContent([blob])))
    chains.add(Digest.of(name.encode()), [[CacheLink(base)]], [result])
    return chains


def cache_of(chains: CacheChains, common: CommonExport = MERGE) -> WrappedCache:
    return prepare_chains(chains, common)


def steps(target: Recorder) -> set[str]:
    assert target.published
    return {record.digest for record in target.published.config.records if record.results}


def named(*names: str) -> set[str]:
    return {Digest.of(name.encode()) for name in names}


@pytest.fixture(autouse=True)
def _hasty() -> None:
    wait_for_nothing()


def test_merging_into_nothing_is_writing():
    target = Recorder(common=MERGE)
    cache = cache_of(build("a"))
    write(cache, target)
    assert target.published == cache


def test_both_are_there_and_the_ends_are_tied():
    target = Recorder(common=MERGE)
    for name in ("a", "b", "c"):
        write(cache_of(build(name)), target)
    assert steps(target) == named("a", "b", "c")
    assert target.published
    assert is_tied(target.published.config)


def test_the_newest_result_wins_whoever_comes_last():
    for order in ([1, 2], [2, 1]):
        target = Recorder(common=MERGE)
        for at in order:
            write(cache_of(build("a", at, f"layer {at}")), target)
        assert target.published
        assert [layer.blob for layer in target.published.config.layers] == [Digest.of(b"layer 2")]


def test_nothing_is_written_when_nothing_is_new():
    target = Recorder(common=MERGE)
    answers = [write(cache_of(build(name)), target) for name in ("a", "b")]
    order = list(target.order)
    assert write(cache_of(build("a")), target) == answers[1]
    assert target.order == order


def test_layers_that_are_there_are_not_asked_for_again():
    asked: list[list[str]] = []

    class Counting(Recorder):
        def missing(self, descs, /):
            listed = list(descs)
            asked.append([desc.digest for desc in listed])
            return super().missing(listed)

    target = Counting(common=MERGE)
    write(cache_of(build("a")), target)
    asked.clear()
    write(cache_of(build("b")), target)
    assert [digest for digests in asked for digest in digests].count(Digest.of(b"a")) == 1


@pytest.mark.parametrize(
    ("current", "asked", "expected"),
    [
        ({"oci_mediatypes": False}, {}, Form.DOCKER_LIST),
        ({"oci_mediatypes": False}, {"image_manifest": True}, Form.IMAGE_MANIFEST),
        ({}, {"image_manifest": False}, Form.OCI_INDEX),
    ],
)
def test_the_form_stays_unless_another_is_asked_for(current, asked, expected):
    target = Recorder()
    first = CommonExport(**current)
    write(cache_of(build("a"), first), target)
    target.common = CommonExport(merge=True, **asked)
    for chains in (build("a"), build("b")):
        write(cache_of(chains, target.common), target)
        assert target.published
        assert target.published.wrapped.form is expected


def test_results_whose_blobs_are_gone_are_left_out(caplog: pytest.LogCaptureFixture):
    target = Recorder(common=MERGE)
    write(cache_of(build("a")), target)
    write(cache_of(build("b")), target)
    target.content._blobs.pop(Digest.of(b"a"))
    write(cache_of(build("c")), target)
    assert steps(target) == named("b", "c")
    assert "1 blobs which are gone" in caplog.text


def test_a_blob_that_is_gone_comes_back_with_who_has_it():
    target = Recorder(common=MERGE)
    for name in ("a", "b"):
        write(cache_of(build(name)), target)
    target.content._blobs.pop(Digest.of(b"a"))
    write(cache_of(build("a")), target)
    assert steps(target) == named("a", "b")


def test_it_begins_again_when_somebody_was_faster():
    target = Recorder(common=MERGE)
    others = iter("bcd")

    def intrude() -> None:
        if (name := next(others, None)) is not None:
            other = Recorder(common=MERGE, content=target.content, published=target.published)
            write(cache_of(build(name)), other)
            target.published = other.published

    target.before_publish = intrude
    write(cache_of(build("a")), target)
    assert steps(target) == named("a", "b", "c", "d")


def test_it_gives_up_in_the_end():
    seconds = iter(range(0, 10_000, 100))
    target = Recorder(common=MERGE)
    versions = (cache_of(build(f"other {number}")) for number in range(100))
    target.before_publish = lambda: setattr(target, "published", next(versions))
    clock = Clock(monotonic=lambda: next(seconds), sleep=lambda pause: None)
    with using_clock(clock), pytest.raises(Outdated):
        write(cache_of(build("a")), target)
    assert next(seconds) == 500, "five minutes after the first try none is begun"


def test_a_damaged_cache_is_not_replaced_in_silence():
    target = Recorder(common=MERGE)
    write(cache_of(build("a")), target)
    before = target.published
    assert before
    config = before.wrapped.config_descriptor.digest
    target.content._blobs[config] = b"{" + target.content._blobs[config][1:-1] + b"]"
    with pytest.raises((Integrity, WireFormat)) as caught:
        write(cache_of(build("b")), target)
    assert "without merge=true it is replaced" in caught.value.__notes__[0]
    assert target.published is before


def test_a_name_whose_manifest_is_gone_is_as_good_as_none():
    target = Recorder(common=MERGE)
    write(cache_of(build("a")), target)
    assert target.published
    target.content._blobs.pop(target.published.wrapped.descriptor.digest)
    write(cache_of(build("b")), target)
    assert steps(target) == named("b")


def test_without_merge_what_is_there_is_replaced():
    target = Recorder()
    for name in ("a", "b"):
        write(cache_of(build(name), CommonExport()), target)
    assert steps(target) == named("b")


def test_a_target_that_knows_the_cache_is_not_written():
    target = Recorder(is_known=True)
    cache = cache_of(build("a"))
    assert write(cache, target)["cache.manifest"] == cache.wrapped.descriptor.encode()
    assert target.order == []


def test_many_merge_into_one_directory_at_once(tmp_path: Path):
    spec = f"type=local,dest={tmp_path / 'shared'},merge=true"
    names = [f"job {number}" for number in range(12)]
    threads = [threading.Thread(target=export_cache, args=(build(n), spec)) for n in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    config, _ = import_cache(f"type=local,src={tmp_path / 'shared'}").marshal()
    assert {record.digest for record in config.records if record.results} == named(*names)


def test_min_drops_of_the_new_cache_only(tmp_path: Path):
    shared = f"type=local,dest={tmp_path / 'shared'}"
    export_cache(build("a"), shared)
    export_cache(build("b"), f"type=local,dest={tmp_path / 'b'}")
    copy_cache([f"type=local,src={tmp_path / 'b'}"], [f"{shared},mode=min,merge=true"])
    config, _ = import_cache(f"type=local,src={tmp_path / 'shared'}").marshal()
    assert {record.digest for record in config.records if record.results} == named("a", "b")


def test_a_source_that_lacks_a_blob_is_blamed():
    target = Recorder(common=MERGE)
    cache = replace(cache_of(build("a")), provider=MemoryContent())
    with pytest.raises(Integrity, match=f"missing blob {Digest.of(b'a')}") as caught:
        write(cache, target)
    assert isinstance(caught.value.__cause__, NotFound)
