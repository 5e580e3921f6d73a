"""Caches that BuildKit would not import."""

from __future__ import annotations

import logging

import pytest
from support.targets import Recorder

from cachexport import CacheChains, CacheResult, Descriptor, Digest, MemoryContent, Remote
from cachexport.contract.export import CommonExport
from cachexport.contract.reading import read_caches
from cachexport.errors import FailedPrecondition
from cachexport.oci import mediatype
from cachexport.transfer.prepare import prepare, prepare_chains
from cachexport.transfer.write import write


def wide(records: int) -> CacheChains:
    """Give a graph whose config has about 90 bytes for each record."""
    chains = CacheChains()
    blob = Descriptor.of(b"x", mediatype.OCI_LAYER)
    result = CacheResult("2026-01-01T00:00:00Z", Remote([blob], MemoryContent([b"x"])))
    for number in range(records):
        chains.add(Digest.of(b"%d" % number), results=[result] if number == 0 else [])
    return chains


def deep(layers: int) -> CacheChains:
    """Give one record whose result needs all of many layers."""
    blobs = [b"%d" % number for number in range(layers)]
    descs = [Descriptor.of(blob, mediatype.OCI_LAYER) for blob in blobs]
    result = CacheResult("2026-01-01T00:00:00Z", Remote(descs, MemoryContent(blobs)))
    chains = CacheChains()
    chains.add(Digest.of(b"deep"), results=[result])
    return chains


SMALL, NEAR, OVER = 100, 9_500, 13_000


def test_a_small_one_is_not_worth_a_word(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    write(prepare_chains(wide(SMALL), CommonExport()), Recorder())
    assert not caplog.records


def test_one_that_grows_is_a_note_with_the_figure(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    write(prepare_chains(wide(NEAR), CommonExport(on_oversize="fail")), Recorder())
    [note] = caplog.records
    assert note.levelname == "INFO"
    assert "the config has 77% of the 1,048,576 bytes" in note.message


def test_one_that_is_too_large_is_written_with_a_warning(caplog: pytest.LogCaptureFixture):
    target = Recorder(common=CommonExport(on_oversize="warn"))
    write(prepare_chains(wide(OVER), target.common), target)
    [warning] = caplog.records
    assert warning.levelname == "WARNING"
    assert "BuildKit refuses to import one over 1,048,576 bytes" in warning.message
    assert target.published


def test_by_default_it_is_compacted_and_a_warning_tells_what_was_dropped(
    caplog: pytest.LogCaptureFixture,
):
    target = Recorder()
    write(prepare_chains(wide(OVER), target.common), target)
    [warning] = caplog.records
    assert warning.levelname == "WARNING"
    assert "BuildKit imports 1,048,576 bytes of config or manifest at most" in warning.message
    assert f"dropped {OVER - 1:,} records, 0 results and 0 layers (0 bytes)" in warning.message
    assert target.published
    assert len(target.published.config.records) == 1


def test_what_is_merged_is_compacted_too(caplog: pytest.LogCaptureFixture):
    target = Recorder(common=CommonExport(on_oversize="warn"))
    write(prepare_chains(wide(OVER), target.common), target)
    target.common = CommonExport(merge=True)
    other = CacheChains()
    blob = Descriptor.of(b"y", mediatype.OCI_LAYER)
    other.add(
        Digest.of(b"other"),
        results=[CacheResult("2026-01-02T00:00:00Z", Remote([blob], MemoryContent([b"y"])))],
    )
    write(prepare_chains(other, target.common), target)
    assert target.published
    assert len(target.published.config.layers) == 2
    assert len(target.published.wrapped.config) < 1 << 20


def test_one_of_which_nothing_fits_is_written_with_a_warning(caplog: pytest.LogCaptureFixture):
    target = Recorder()
    write(prepare_chains(deep(9_000), target.common), target)
    assert "BuildKit refuses to import one over 1,048,576 bytes" in caplog.text
    assert target.published
    assert len(target.published.config.layers) == 9_000


def test_fail_refuses_what_is_marshalled_before_anything_is_written():
    target = Recorder(common=CommonExport(on_oversize="fail"))
    with pytest.raises(FailedPrecondition, match="the config has 1,"):
        write(prepare_chains(wide(OVER), target.common), target)
    assert target.order == []


def test_what_is_passed_on_as_it_was_read_is_refused_only_if_somebody_says_so(
    caplog: pytest.LogCaptureFixture,
):
    first = Recorder(common=CommonExport(on_oversize="warn"))
    write(prepare_chains(wide(OVER), first.common), first)
    assert first.published
    [cache] = read_caches(first.content, first.published.wrapped.descriptor)
    caplog.clear()
    common = CommonExport(on_oversize="fail", image_manifest=False)
    with pytest.raises(FailedPrecondition):
        write(prepare([cache], common), Recorder(common=common))
    common = CommonExport(image_manifest=False)
    second = Recorder(common=common)
    write(prepare([cache], common), second)
    assert second.published
    assert second.published.wrapped.config == first.published.wrapped.config
    assert "BuildKit refuses" in caplog.text


def test_a_place_that_buildkit_imports_any_size_from_has_no_limit(caplog: pytest.LogCaptureFixture):
    target = Recorder(common=CommonExport(on_oversize="fail"), import_limit=None)
    write(prepare_chains(wide(OVER), target.common), target)
    assert target.published
    assert not caplog.records
