from __future__ import annotations

import json

from cli.commands import InProcess, local
from support import caches

AMD64, BOTH = (local(caches.FOLDER / name) for name in ("multi-amd64", "multi-both"))
WIDE = local(caches.FOLDER / "wide.tar.gz")


def test_by_name(run: InProcess) -> None:
    ran = run("du", AMD64, BOTH)
    assert ran.code == 0
    assert ran.out.splitlines() == [
        " SIZE  UNIQUE  SHARED  BLOBS  NAME",
        f"656 B   271 B   385 B      5  {BOTH}",
        f"385 B     0 B   385 B      3  {AMD64}",
        "together 656 B in 5 distinct blobs",
    ]


def test_by_layer(run: InProcess) -> None:
    ran = run("du", AMD64, BOTH, "--by", "layer", "--limit", "2")
    assert ran.out.splitlines() == [
        " SIZE  RESULTS  NAMES  LAYER",
        "158 B        2      1  f31b553cc5a9",
        "157 B        4      2  e85340bea1fe",
        "and 3 more (--limit 0 shows all)",
        "together 656 B in 5 distinct blobs",
    ]


def test_by_record(run: InProcess) -> None:
    lines = run("du", AMD64, "--by", "record", "--limit", "1").out.splitlines()
    assert lines[0] == " SIZE  UNIQUE  SHARED  RECORD"
    assert lines[1].startswith("385 B   114 B   271 B  ")
    several = run("du", AMD64, BOTH, "--by", "record").out
    assert several.splitlines()[0].endswith("  NAME")
    assert several.count(BOTH) + several.count(AMD64) == 8


def test_limit(run: InProcess) -> None:
    assert len(run("du", WIDE, "--by", "record").out.splitlines()) == 23
    assert len(run("du", WIDE, "--by", "record", "--limit", "0").out.splitlines()) == 602


def test_json_has_everything(run: InProcess) -> None:
    document = json.loads(run("du", AMD64, BOTH, "--format", "json").out)
    assert list(document) == ["size", "names", "layers", "records"]
    assert document["size"] == 656
    assert document["names"][0] == {
        "name": AMD64,
        "blobs": 3,
        "size": 385,
        "unique": 0,
        "shared": 385,
    }
    layer = document["layers"][1]
    assert (layer["size"], layer["results"], layer["names"]) == (157, 4, [0, 1])
    assert {record["name"] for record in document["records"]} == {0, 1}
    for record in document["records"]:
        assert record["size"] == record["unique"] + record["shared"]


def test_no_cache(run: InProcess) -> None:
    ran = run("du", local("/nowhere"))
    assert (ran.code, ran.out) == (66, "")
