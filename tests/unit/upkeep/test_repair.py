"""After a repair verifying finds nothing, and what was whole is still there."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support import caches

from cachexport import Descriptor, Digest, copy_cache, load_cache, repair_names, verify_names
from cachexport.backends.local.layout import Layout
from cachexport.backends.local.names import Names
from cachexport.errors import BackendError, NotFound, TransferError
from cachexport.model.chains import CacheChains
from cachexport.model.config import CacheInput, CacheLayer
from cachexport.model.config.salvage import salvage
from cachexport.model.envelope.cache import WrappedCache
from cachexport.model.envelope.manifest import (
    Form,
    encode_manifest,
)
from cachexport.oci.descriptor import UNCOMPRESSED
from cachexport.oci.mediatype import CACHE_CONFIG_V0
from cachexport.upkeep import repair
from cachexport.upkeep.repair import RepairOutcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cachexport.model.config import CacheConfig
    from cachexport.upkeep.repair import Repair

    Change = Callable[[CacheConfig, list[Descriptor]], tuple[CacheConfig, list[Descriptor]]]


def cache(folder: Path | None = None) -> WrappedCache:
    [found] = load_cache(f"type=local,src={folder or caches.FOLDER / 'max'}")
    assert isinstance(found, WrappedCache)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a copy of a cache to do harm to."""
    copy = tmp_path / "cache"
    shutil.copytree(caches.FOLDER / "max", copy)
    return copy


def path_of(folder: Path, digest: Digest) -> Path:
    path = Layout(folder).blob(digest)
    path.chmod(0o644)
    return path


def layer(folder: Path, number: int = 0) -> Path:
    return path_of(folder, cache().layers[number].digest)


def spoil(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def spec(folder: Path) -> str:
    return f"type=local,src={folder}"


def faults(folder: Path) -> list[str]:
    found = verify_names(spec(folder), deep=True)
    return [fault.kind for item in found for fault in item.faults]


def repaired(folder: Path, **options: object) -> Repair:
    [found] = repair_names(spec(folder), deep=True, **options)  # type: ignore[arg-type]
    return found


def rewritten(folder: Path, change: Change) -> None:
    """Publish a config and descriptors as a careless program would."""
    found = cache(folder)
    config, layers = change(found.config, list(found.layers))
    raw = config.encode()
    manifest = encode_manifest(Form.IMAGE_MANIFEST, layers, Descriptor.of(raw, CACHE_CONFIG_V0))
    for blob in (raw, manifest):
        (folder / "blobs" / "sha256" / Digest.of(blob).encoded).write_bytes(blob)
    desc = Descriptor.of(manifest, Form.IMAGE_MANIFEST.media_type)
    Names(Layout(folder)).publish("latest", desc)


def test_a_sound_cache_stays_as_it_is(folder: Path) -> None:
    before = caches.files(folder)
    assert repaired(folder).outcome is RepairOutcome.SOUND
    assert caches.files(folder) == before


@pytest.mark.parametrize("harm", ["missing", "truncated", "flipped"])
def test_results_with_a_bad_blob_are_left_out(folder: Path, harm: str) -> None:
    path = layer(folder)
    if harm == "missing":
        path.unlink()
    elif harm == "truncated":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        spoil(path)
    assert len(faults(folder)) == 1
    found = repaired(folder)
    assert (found.outcome, found.restored, found.lost_records) == (RepairOutcome.REPAIRED, 0, 0)
    assert found.lost_results > 0
    assert faults(folder) == []
    # Whoever looks only whether it is there must not find it.
    assert not path.exists()
    assert all(desc.digest.encoded != path.name for desc in cache(folder).layers)
    assert cache(folder).config.records


def test_a_blob_that_somebody_else_mends_meanwhile_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = layer(folder)
    path.write_bytes(path.read_bytes()[:-1])
    rewrite = repair.rewrite

    def overtaken(*args: Any) -> None:
        rewrite(*args)
        copy_cache([f"type=local,src={caches.FOLDER / 'max'}"], [f"type=local,dest={folder},tag=b"])

    monkeypatch.setattr(repair, "rewrite", overtaken)
    [found] = repair_names(f"{spec(folder)},tag=latest", deep=True)
    assert found.outcome is RepairOutcome.REPAIRED
    assert faults(folder) == []
    assert path.exists()


@pytest.mark.parametrize("harm", ["missing", "truncated", "flipped"])
def test_blobs_are_restored_from_elsewhere(folder: Path, harm: str) -> None:
    before = caches.files(folder)
    path = layer(folder, 3)
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + (b"" if harm == "truncated" else b"?"))
    found = repaired(folder, origins=[f"type=local,src={caches.FOLDER / 'max'}"])
    assert (found.outcome, found.restored, found.lost_results) == (RepairOutcome.REPAIRED, 1, 0)
    assert caches.files(folder) == before


def wrong_size(
    config: CacheConfig, layers: list[Descriptor]
) -> tuple[CacheConfig, list[Descriptor]]:
    return config, [replace(layers[0], size=layers[0].size + 1), *layers[1:]]


def wrong_diff_id(
    config: CacheConfig, layers: list[Descriptor]
) -> tuple[CacheConfig, list[Descriptor]]:
    annotations = {**layers[0].annotations, UNCOMPRESSED: str(Digest.of(b"other"))}
    return config, [replace(layers[0], annotations=annotations), *layers[1:]]


def no_diff_id(
    config: CacheConfig, layers: list[Descriptor]
) -> tuple[CacheConfig, list[Descriptor]]:
    return config, [replace(layers[0], annotations={}), *layers[1:]]


@pytest.mark.parametrize("change", [wrong_size, wrong_diff_id, no_diff_id])
def test_a_descriptor_that_lies_is_put_right(folder: Path, change: Change) -> None:
    rewritten(folder, change)
    assert len(faults(folder)) == 1
    found = repaired(folder)
    assert (found.outcome, found.lost_results, found.lost_records) == (RepairOutcome.REPAIRED, 0, 0)
    assert faults(folder) == []
    assert {d.digest: d.size for d in cache(folder).layers} == {
        d.digest: d.size for d in cache().layers
    }


def loop(config: CacheConfig, layers: list[Descriptor]) -> tuple[CacheConfig, list[Descriptor]]:
    return linked(config, len(config.records) - 1), layers


def dangling(config: CacheConfig, layers: list[Descriptor]) -> tuple[CacheConfig, list[Descriptor]]:
    return linked(config, len(config.records)), layers


def linked(config: CacheConfig, link: int) -> CacheConfig:
    """Let the last record depend on something that it cannot."""
    *others, last = config.records
    return replace(config, records=(*others, replace(last, inputs=((CacheInput(link=link),),))))


def bad_parent(
    config: CacheConfig, layers: list[Descriptor]
) -> tuple[CacheConfig, list[Descriptor]]:
    first = replace(config.layers[0], parent=0)
    return replace(config, layers=(first, *config.layers[1:])), layers


@pytest.mark.parametrize("change", [loop, dangling, bad_parent])
def test_what_leads_nowhere_is_left_out(folder: Path, change: Change) -> None:
    rewritten(folder, change)
    assert faults(folder) == ["damaged"]
    found = repaired(folder)
    assert found.outcome is RepairOutcome.REPAIRED
    assert found.lost_records + found.lost_results > 0
    assert faults(folder) == []
    assert len(cache(folder).config.records) > 5


def undescribed(
    config: CacheConfig, layers: list[Descriptor]
) -> tuple[CacheConfig, list[Descriptor]]:
    return config, layers[1:]


def unused(config: CacheConfig, layers: list[Descriptor]) -> tuple[CacheConfig, list[Descriptor]]:
    extra = CacheLayer(blob=str(layers[0].digest), parent=-1)
    lessened = replace(config, layers=(*config.layers[:-1], extra))
    return salvage(lessened), layers


@pytest.mark.parametrize("change", [undescribed, unused])
def test_a_config_that_does_not_match_its_manifest(folder: Path, change: Change) -> None:
    rewritten(folder, change)
    assert faults(folder)
    assert repaired(folder).outcome is RepairOutcome.REPAIRED
    assert faults(folder) == []


@pytest.mark.parametrize("what", ["config", "manifest"])
def test_a_damaged_config_or_manifest(folder: Path, what: str) -> None:
    wrapped = cache().wrapped
    desc = wrapped.descriptor if what == "manifest" else wrapped.config_descriptor
    before = caches.files(folder)
    spoil(path_of(folder, desc.digest))
    assert faults(folder) == ["damaged"]
    found = repaired(folder)
    assert found.outcome is RepairOutcome.DAMAGED
    assert str(desc.digest) in found.faults[0]
    origins = [f"type=local,src={caches.FOLDER / 'max'}"]
    for dry_run in (True, False):
        restored = repaired(folder, origins=origins, dry_run=dry_run)
        assert (restored.outcome, restored.restored) == (RepairOutcome.REPAIRED, 2)
        assert restored.faults == found.faults
    assert caches.files(folder) == before


def test_a_name_that_leads_nowhere_is_a_fault_and_can_be_dropped(folder: Path) -> None:
    path_of(folder, cache().wrapped.descriptor.digest).unlink()
    assert faults(folder) == ["damaged"]
    assert repaired(folder).outcome is RepairOutcome.DAMAGED
    assert repaired(folder, drop_damaged=True).outcome is RepairOutcome.REMOVED
    assert json.loads((folder / "index.json").read_bytes())["manifests"] == []
    with pytest.raises(NotFound, match="latest"):
        repair_names(spec(folder))


def test_a_name_of_which_nothing_is_left_goes(folder: Path) -> None:
    for desc in cache().layers:
        path_of(folder, desc.digest).unlink(missing_ok=True)
    assert repaired(folder).outcome is RepairOutcome.REMOVED
    with pytest.raises(NotFound):
        load_cache(spec(folder))


def test_a_dry_run_changes_nothing(folder: Path) -> None:
    layer(folder).unlink()
    before = caches.files(folder)
    found = repaired(folder, dry_run=True)
    assert (found.outcome, found.lost_results > 0) == (RepairOutcome.REPAIRED, True)
    assert caches.files(folder) == before


def test_what_is_saved_is_a_part_of_what_was(folder: Path) -> None:
    found = cache()
    for number in range(len(found.config.records)):
        broken = replace(
            found.config,
            records=tuple(
                replace(record, inputs=((CacheInput(link=99),),)) if position == number else record
                for position, record in enumerate(found.config.records)
            ),
        )
        saved = salvage(broken)
        CacheChains.parse(saved, found.layers)
        assert {record.digest for record in saved.records} <= {
            record.digest for record in found.config.records
        }
        assert found.config.records[number].digest not in {r.digest for r in saved.records}
    assert salvage(found.config) is found.config


def test_a_failure_to_read_is_no_reason_to_drop_results(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = layer(folder)
    path.write_bytes(path.read_bytes() + b"?")
    before, digest = caches.files(folder), cache().layers[0].digest

    class Failing:
        def read(self, size: int, /) -> bytes:
            raise BackendError("the disk is failing", op="read")

        def close(self) -> None:
            pass

    opened = Layout.open

    def open_failing(self: Layout, desc: Descriptor, /) -> object:
        return Failing() if desc.digest == digest else opened(self, desc)

    monkeypatch.setattr(Layout, "open", open_failing)
    with pytest.raises(TransferError, match="the disk is failing"):
        repair_names(spec(folder))
    monkeypatch.undo()
    assert caches.files(folder) == before
