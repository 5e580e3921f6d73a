"""Every fault is found, wherever the cache is, and all of them at once."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support import bucket, caches
from support.clock import go_by

from cachexport import (
    Digest,
    MemoryContent,
    list_names,
    load_cache,
    merge_cache,
    verify_cache,
)
from cachexport.backends.local.layout import Layout
from cachexport.backends.objects.layout import Blobs, Keys
from cachexport.backends.objects.source import ObjectSource
from cachexport.backends.objects.target import ObjectTarget
from cachexport.content.layers.codecs import compress
from cachexport.contract.export import CommonExport
from cachexport.doctor.engine import doctor
from cachexport.errors import NotFound
from cachexport.insight.inspect import inspect_cache
from cachexport.model.chains.tie import is_tied
from cachexport.model.envelope.cache import Cache
from cachexport.oci.compression import Compression
from cachexport.oci.descriptor import UNCOMPRESSED, Descriptor
from cachexport.testing.memory import MemoryObjects
from cachexport.transfer.write import write
from cachexport.upkeep.verify import FaultKind, verify_source
from cachexport.upkeep.verify import verify_cache as verify

if TYPE_CHECKING:
    from pathlib import Path

KEYS = Keys(blobs="blobs/", names="names/")


def cache() -> Cache:
    [found] = load_cache(f"type=local,src={caches.FOLDER / 'max'}")
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a copy of a cache to do harm to."""
    copy = tmp_path / "cache"
    shutil.copytree(caches.FOLDER / "max", copy)
    return copy


def blob(folder: Path, number: int = 0) -> Path:
    path = Layout(folder).blob(cache().layers[number].digest)
    path.chmod(0o644)
    return path


def faults(folder: Path, *, deep: bool = False) -> list[tuple[str, str]]:
    [found] = verify_cache(f"type=local,src={folder}", deep=deep)
    return [(fault.kind, fault.blob) for fault in found.faults]


def spoil(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize("name", [*caches.LAYOUTS, "inline-image.tar"])
@pytest.mark.parametrize("deep", [False, True])
def test_a_sound_cache_has_no_fault(name, deep):
    found = verify_cache(f"type=local,src={caches.FOLDER / name}", deep=deep)
    assert found
    for item in found:
        assert (item.faults, item.exit_code) == ((), 0)
        assert item.records
        assert item.blobs


def test_a_missing_blob(folder):
    blob(folder).unlink()
    assert faults(folder) == [(FaultKind.MISSING, cache().layers[0].digest)]


def test_a_truncated_blob(folder):
    path = blob(folder)
    path.write_bytes(path.read_bytes()[:-1])
    assert faults(folder) == [(FaultKind.WRONG_SIZE, cache().layers[0].digest)]


def test_a_flipped_bit_is_found_by_reading(folder):
    spoil(blob(folder))
    assert faults(folder) == []
    assert faults(folder, deep=True) == [(FaultKind.CORRUPT, cache().layers[0].digest)]


def test_every_fault_is_told(folder):
    blob(folder, 0).unlink()
    blob(folder, 1).write_bytes(b"short")
    spoil(blob(folder, 2))
    kinds = [kind for kind, _ in faults(folder, deep=True)]
    assert kinds == [FaultKind.MISSING, FaultKind.WRONG_SIZE, FaultKind.CORRUPT]


@pytest.mark.parametrize("what", ["manifest", "config"])
def test_a_damaged_manifest_or_config(folder, what):
    wrapped = cache().wrapped
    desc = wrapped.descriptor if what == "manifest" else wrapped.config_descriptor
    path = Layout(folder).blob(desc.digest)
    path.chmod(0o644)
    spoil(path)
    [(kind, _)] = faults(folder)
    [found] = verify_cache(f"type=local,src={folder}")
    assert (kind, found.exit_code) == (FaultKind.DAMAGED, 65)
    assert desc.digest in found.faults[0].text


def test_a_loop_and_a_link_that_dangles():
    config = cache().config
    first = next(n for n, record in enumerate(config.records) if record.inputs)
    for link in (first, len(config.records)):
        record = config.records[first]
        looped = replace(record, inputs=((replace(record.inputs[0][0], link=link),),))
        records = (*config.records[:first], looped, *config.records[first + 1 :])
        [fault] = verify(replace(cache(), config=replace(config, records=records))).faults
        assert fault.kind is FaultKind.DAMAGED
        assert f"records[{first}]" in fault.text or "depends on itself" in fault.text


def test_a_manifest_of_another_config():
    sound = cache()
    fewer = verify(replace(sound, layers=sound.layers[1:])).faults
    assert [(f.kind, f.blob) for f in fewer] == [(FaultKind.UNDESCRIBED, sound.layers[0].digest)]
    other = Descriptor.of(b"x", sound.layers[0].media_type)
    other = replace(other, annotations={UNCOMPRESSED: other.digest})
    kinds = [fault.kind for fault in verify(replace(sound, layers=(*sound.layers, other))).faults]
    assert kinds == [FaultKind.UNUSED, FaultKind.MISSING]


def test_a_wrong_diff_id():
    sound = cache()
    wrong = replace(sound.layers[0], annotations={UNCOMPRESSED: Digest.of(b"other")})
    lying = replace(sound, layers=(wrong, *sound.layers[1:]))
    assert not verify(lying).faults
    [fault] = verify(lying, deep=True).faults
    assert (fault.kind, fault.blob) == (FaultKind.WRONG_DIFF_ID, wrong.digest)
    silent = replace(sound, layers=(replace(wrong, annotations={}), *sound.layers[1:]))
    [fault] = verify(silent).faults
    assert fault.kind is FaultKind.NO_DIFF_ID


def test_a_blob_that_does_not_decompress():
    raw = b"".join(compress(io.BytesIO(b"x" * 1000), Compression.GZIP, None))[:-9]
    desc = replace(
        Descriptor.of(raw, "application/vnd.oci.image.layer.v1.tar+gzip"),
        annotations={UNCOMPRESSED: Digest.of(b"x" * 1000)},
    )
    layer = replace(cache().config.layers[0], blob=desc.digest, parent=-1)
    config = replace(cache().config, layers=(layer,), records=())
    bad = Cache(config=config, layers=(desc,), provider=MemoryContent([raw]))
    [fault] = verify(bad, deep=True).faults
    assert (fault.kind, fault.blob) == (FaultKind.CORRUPT, desc.digest)


def test_what_is_not_there_is_no_fault(tmp_path):
    with pytest.raises(NotFound):
        verify_cache(f"type=local,src={tmp_path / 'none'}")


def test_a_bucket_is_asked_with_a_listing():
    client = MemoryObjects()
    go_by(client)
    blobs = Blobs(client=client, keys=KEYS)
    write(cache(), ObjectTarget(CommonExport(), blobs, "main", force=False))
    gone = cache().layers[3].digest
    del client.objects[KEYS.blob(gone)]
    client.asked.clear()
    [found] = verify_source(ObjectSource(blobs, ["main"]))
    assert [(fault.kind, fault.blob) for fault in found.faults] == [(FaultKind.MISSING, gone)]
    assert client.asked["list"] == 1
    raw, stored = client.objects[KEYS.name("main")]
    document = json.loads(raw)
    del document["layers"][0]["annotations"]
    client.objects[KEYS.name("main")] = (json.dumps(document).encode(), stored)
    [found] = verify_source(ObjectSource(blobs, ["main"]))
    assert [fault.kind for fault in found.faults] == [FaultKind.DAMAGED]
    assert "without annotations at layers[0]" in found.faults[0].text


@pytest.mark.parametrize("there", ["local", "memory"])
def test_all_count_the_same_records(
    there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.installed(monkeypatch)
    source, target = {
        "local": (f"type=local,src={tmp_path}", f"type=local,dest={tmp_path}"),
        "memory": (bucket.SPEC, bucket.SPEC),
    }[there]
    ends = [f"type=local,src={caches.FOLDER / name}" for name in ("max", "multi-amd64")]
    merge_cache(ends, [target])
    [merged] = load_cache(source)
    assert is_tied(merged.config)
    records = len(merged.config.records) - 1
    [listed], [verified] = list_names(source), verify_cache(source)
    assert listed.records == len(inspect_cache(merged).records) == verified.records == records
    told = {item.check: item.finding for item in doctor(source, read_only=True).results}["read"]
    assert told.facts["records"] == records
    assert f"a cache with {records} records" in told.text
