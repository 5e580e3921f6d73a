"""Directories in which others keep things too, or write meanwhile."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cachexport import (
    Digest,
    export_cache,
    list_names,
    load_cache,
    prune_caches,
    remove_names,
    repair_names,
    verify_names,
)
from cachexport.backends.local.names import Names
from cachexport.contract.opening import open_place
from cachexport.errors import FailedPrecondition, NotFound, Outdated
from cachexport.oci import mediatype
from cachexport.testing.samples import layer, small_chains
from cachexport.upkeep.prune import Plan
from cachexport.upkeep.retention import Retention

if TYPE_CHECKING:
    from cachexport.oci.index import Index

HOUR = 3600.0
REF_NAME = "org.opencontainers.image.ref.name"
ALL_GO = Plan(retention=Retention(keep_last=0), grace=0.0, dry_run=False)


@pytest.fixture
def spec(tmp_path: Path) -> str:
    put(tmp_path, "main", 1, 2)
    return f"type=local,src={tmp_path}"


def put(folder: Path, name: str, *numbers: int) -> None:
    assert export_cache(small_chains(*numbers), f"type=local,dest={folder},tag={name}")


def folder(spec: str) -> Path:
    return Path(spec.removeprefix("type=local,src="))


def grow_old(spec: str) -> None:
    for path in folder(spec).rglob("*"):
        back = path.stat().st_mtime - 100 * HOUR
        os.utime(path, (back, back))


def blob(spec: str, digest: str) -> Path:
    return folder(spec) / "blobs" / digest.replace(":", "/")


def store(spec: str, raw: bytes) -> Digest:
    digest = Digest.of(raw)
    blob(spec, digest).write_bytes(raw)
    return digest


def describe(spec: str, media_type: str, value: object) -> dict[str, object]:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return {"mediaType": media_type, "digest": store(spec, raw), "size": len(raw)}


def image(spec: str, number: int) -> dict[str, object]:
    """Store an image of one layer, and describe it."""
    raw, desc = layer(number)
    config = describe(spec, "application/vnd.oci.image.config.v1+json", {"os": "linux"})
    layers = [describe(spec, desc.media_type, raw)]
    manifest = {"schemaVersion": 2, "config": config, "layers": layers}
    return describe(spec, mediatype.OCI_MANIFEST, {**manifest, "mediaType": mediatype.OCI_MANIFEST})


def add(spec: str, entry: dict[str, object], name: str) -> None:
    """Add an entry to the index, whatever else has that name."""
    path = folder(spec) / "index.json"
    index = json.loads(path.read_text())
    index["manifests"].append({**entry, "annotations": {REF_NAME: name}})
    path.write_text(json.dumps(index))


def test_a_name_that_an_image_has_too_is_no_cache(spec: str) -> None:
    entry = image(spec, 9)
    add(spec, entry, "main")
    assert [item.kind for item in list_names(spec)] == ["image"]
    grow_old(spec)
    prune_caches([spec], ALL_GO)
    assert blob(spec, layer(9)[1].digest).exists()
    with pytest.raises(FailedPrecondition, match="--force"):
        remove_names(f"{spec},tag=main")
    before = (folder(spec) / "index.json").read_bytes()
    assert repair_names(spec, "*") == []
    assert (folder(spec) / "index.json").read_bytes() == before


def test_of_two_caches_with_one_name_the_first_is_repaired(spec: str) -> None:
    put(folder(spec), "other", 3)
    index = json.loads((folder(spec) / "index.json").read_text())
    add(spec, index["manifests"][1], "main")
    blob(spec, layer(2)[1].digest).unlink()
    [found] = repair_names(spec, "main")
    assert (found.outcome, found.lost_results) == ("repaired", 1)
    assert not any(item.faults for item in verify_names(spec))
    [cache] = load_cache(f"{spec},tag=main")
    assert [item.blob for item in cache.config.layers] == [layer(1)[1].digest]


def test_what_is_a_layer_here_and_a_manifest_there_leads_on(spec: str) -> None:
    entry = image(spec, 9)
    as_layer = {**entry, "mediaType": mediatype.OCI_LAYER_GZIP}
    both = {"mediaType": mediatype.OCI_INDEX, "schemaVersion": 2, "manifests": [entry, as_layer]}
    add(spec, describe(spec, mediatype.OCI_INDEX, both), "odd")
    grow_old(spec)
    prune_caches([spec], ALL_GO)
    assert blob(spec, layer(9)[1].digest).exists()


def test_a_name_is_as_old_as_its_last_export(spec: str) -> None:
    grow_old(spec)
    put(folder(spec), "main", 1, 2)
    rules = Retention(max_age=50 * HOUR)
    [told] = prune_caches([spec], Plan(retention=rules, dry_run=False))
    assert [name.stays for name in told.names] == [True]


def test_a_name_that_is_written_again_as_it_was_stays(spec: str) -> None:
    grow_old(spec)
    place = open_place(spec)
    [entry] = place.entries()
    put(folder(spec), "main", 1, 2)
    [error] = place.withdraw([entry]).values()
    assert isinstance(error, Outdated)
    assert place.withdraw(place.entries()) == {}
    assert place.withdraw([entry]) == {}


def test_the_index_is_not_read_for_each_of_its_names(
    spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        put(folder(spec), f"pr-{number}", number)
    reads = 0
    read = Names.index

    def counted(self: Names) -> Index:
        nonlocal reads
        reads += 1
        return read(self)

    monkeypatch.setattr(Names, "index", counted)
    assert len(list_names(spec)) == 6
    assert reads == 1


def test_what_goes_while_it_is_looked_at_is_not_damaged(spec: str) -> None:
    place = open_place(spec)
    [entry] = place.entries()
    remove_names(f"{spec},tag=main")
    prune_caches([spec], ALL_GO)
    with pytest.raises(NotFound):
        place.contents(entry)
