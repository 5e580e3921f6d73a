"""Compacting a cache where it is, or into a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import caches
from support.clock import wait_for_nothing
from support.targets import Recorder

from cachexport import CacheChains, CacheResult, Descriptor, Digest, MemoryContent, Remote
from cachexport.api.caches import (
    compact_cache,
    export_cache,
    import_cache,
    load_cache,
)
from cachexport.contract.export import CommonExport
from cachexport.contract.reading import (
    Current,
)
from cachexport.errors import AlreadyExists, FailedPrecondition, InvalidAttr, NotFound
from cachexport.oci import mediatype
from cachexport.transfer.fit import Limits
from cachexport.transfer.prepare import prepare_chains
from cachexport.transfer.write import write
from cachexport.upkeep.compact import compact_caches, compact_in_place

if TYPE_CHECKING:
    from pathlib import Path

MERGE = CommonExport(merge=True)


def build(*times: int) -> CacheChains:
    chains = CacheChains()
    for at in times:
        raw = b"layer %d" % at
        remote = Remote([Descriptor.of(raw, mediatype.OCI_LAYER)], MemoryContent([raw]))
        chains.add(
            Digest.of(b"step %d" % at),
            results=[CacheResult(f"{2000 + at}-01-01T00:00:00Z", remote)],
        )
    return chains


def written(*times: int, target: Recorder | None = None) -> Recorder:
    target = target or Recorder(common=MERGE)
    write(prepare_chains(build(*times), MERGE), target)
    return target


def steps(chains: CacheChains) -> set[str]:
    return {r.digest for r in chains.marshal()[0].records}


def named(*times: int) -> set[str]:
    return {Digest.of(b"step %d" % at) for at in times}


def left(target: Recorder) -> set[str]:
    assert target.published
    return {r.digest for r in target.published.config.records} & named(*range(20))


@pytest.fixture(autouse=True)
def _hasty() -> None:
    wait_for_nothing()


def test_in_place_the_oldest_go():
    target = written(1, 2, 3)
    found = compact_in_place(target, Limits(layers=2))
    assert left(target) == named(2, 3)
    assert (found.before.records, found.after.records) == (3, 2)
    assert found.loss.size == len(b"layer 1")
    assert found.after.manifest == len(target.published.wrapped.manifest)


def test_what_others_write_meanwhile_is_not_lost():
    target = written(1, 2, 3)
    others = iter([9, 8])

    def intrude():
        if (at := next(others, None)) is not None:
            other = Recorder(common=MERGE, content=target.content, published=target.published)
            target.published = written(at, target=other).published

    target.before_publish = intrude
    compact_in_place(target, Limits(layers=2))
    assert left(target) == named(8, 9)


def test_one_that_fits_is_not_written():
    target = written(1, 2)
    order, before = list(target.order), target.published
    found = compact_in_place(target, Limits(size=1 << 20))
    assert (target.order, target.published) == (order, before)
    assert (found.loss.records, found.loss.results) == (0, 0)


def test_results_whose_blobs_are_gone_go():
    target = written(1, 2)
    target.content._blobs.pop(Digest.of(b"layer 2"))
    found = compact_in_place(target, Limits())
    assert left(target) == named(1)
    assert found.loss.results == 1


def test_nothing_is_written_when_nothing_fits():
    target = written(1, 2)
    before = target.published
    with pytest.raises(FailedPrecondition, match="fits within 10 bytes"):
        compact_in_place(target, Limits(size=10))
    assert target.published is before


def test_there_has_to_be_a_cache():
    with pytest.raises(NotFound):
        compact_in_place(Recorder(), Limits())


def test_an_image_with_an_inline_cache_is_compacted_into_another_name_only(tmp_path: Path):
    image = f"type=local,src={caches.FOLDER / 'inline-image.tar'}"
    found = compact_cache(image, f"type=local,dest={tmp_path}", max_layers=2)
    [cache] = load_cache(f"type=local,src={tmp_path}")
    assert len(cache.config.layers) == found.after.layers == 2

    class Image(Recorder):
        def current(self):
            return Current(tuple(load_cache(image)), "x")

    with pytest.raises(AlreadyExists):
        compact_in_place(Image(), Limits())


def test_a_directory_is_compacted_in_place_named_either_way(tmp_path: Path):
    export_cache(build(1, 2, 3), f"type=local,dest={tmp_path},tag=a")
    compact_cache(f"type=local,src={tmp_path},tag=a", max_layers=2)
    assert steps(import_cache(f"type=local,src={tmp_path},tag=a")) == named(2, 3)
    dry = compact_cache(f"type=local,dest={tmp_path},tag=a", max_layers=1, dry_run=True)
    assert dry.after.layers == 1
    assert steps(import_cache(f"type=local,src={tmp_path},tag=a")) == named(2, 3)
    compact_cache(f"type=local,dest={tmp_path},tag=a", max_layers=1)
    assert steps(import_cache(f"type=local,src={tmp_path},tag=a")) == named(3)


def test_a_manifest_that_is_named_by_digest_cannot_be_replaced(tmp_path: Path):
    export_cache(build(1), f"type=local,dest={tmp_path}")
    digest = Digest.of(b"x")
    with pytest.raises(InvalidAttr, match="give a name"):
        compact_cache(f"type=local,src={tmp_path},digest={digest}")


@pytest.mark.parametrize("name", caches.LAYOUTS)
def test_a_small_cache_is_copied_as_it_is_or_without_what_leads_nowhere(name, tmp_path: Path):
    source = f"type=local,src={caches.FOLDER / name}"
    found = compact_cache(source, f"type=local,dest={tmp_path}")
    [before], [after] = load_cache(source), load_cache(f"type=local,src={tmp_path}")
    assert (found.loss.old, found.loss.results, found.loss.layers) == (0, 0, 0)
    assert (before.wrapped == after.wrapped) == (found.loss.records == 0)
    assert after.wrapped.form is before.wrapped.form
    again = compact_caches([after], Limits())
    assert again.cache.wrapped == after.wrapped
