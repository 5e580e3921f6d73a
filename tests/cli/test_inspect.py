"""`inspect` on real caches, through the command."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cli.commands import InProcess, local
from support.caches import FOLDER, LAYOUTS, unpack, unpack_wide

from cachexport.cli import main
from cachexport.oci.digest import Digest
from cachexport.testing.services import lacking

if TYPE_CHECKING:
    from pathlib import Path

MAX = local(FOLDER / "max")


def _json(run: InProcess, spec: str) -> list[dict[str, Any]]:
    caches = json.loads(run("inspect", spec, "--format", "json").out)["caches"]
    assert isinstance(caches, list)
    return caches


def _blob(folder: Path, digest: str) -> dict[str, Any]:
    found = json.loads((folder / "blobs" / digest.replace(":", "/")).read_bytes())
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("name", LAYOUTS)
def test_json_says_what_the_files_say(run: InProcess, name: str) -> None:
    folder = FOLDER / name
    (cache,) = _json(run, local(folder))
    index = json.loads((folder / "index.json").read_bytes())
    manifest = _blob(folder, index["manifests"][0]["digest"])
    config = _blob(folder, cache["config"]["digest"])
    blobs = manifest.get("layers") or [
        item for item in manifest["manifests"] if "cacheconfig" not in item["mediaType"]
    ]
    sizes = {item["digest"]: item["size"] for item in blobs}
    assert cache["manifest"] == {
        "media_type": manifest["mediaType"],
        "digest": index["manifests"][0]["digest"],
        "size": index["manifests"][0]["size"],
    }
    assert cache["summary"]["size"] == sum(sizes.values())
    assert cache["summary"]["blobs"] == len(sizes)
    assert [layer["blob"] for layer in cache["layers"]] == [it["blob"] for it in config["layers"]]
    assert [layer["size"] for layer in cache["layers"]] == [
        sizes[it["blob"]] for it in config["layers"]
    ]
    assert [record["digest"] for record in cache["records"]] == [
        it["digest"] for it in config["records"]
    ]
    assert [[r["layer"] for r in record["results"]] for record in cache["records"]] == [
        [r.get("layer", 0) for r in it.get("layers", [])] for it in config["records"]
    ]
    assert [record["inputs"] for record in cache["records"]] == [
        [
            [{"record": link.get("link", 0), "selector": link.get("selector", "")} for link in one]
            for one in it.get("inputs", [])
        ]
        for it in config["records"]
    ]


@pytest.mark.parametrize(
    ("name", "form", "compression"),
    [
        ("max", "image-manifest", "gzip"),
        ("max-oci-index", "oci-index", "gzip"),
        ("max-docker-list", "docker-list", "gzip"),
        ("max-zstd", "image-manifest", "zstd"),
        ("max-uncompressed", "image-manifest", "uncompressed"),
    ],
)
def test_form_and_compression(run: InProcess, name: str, form: str, compression: str) -> None:
    (cache,) = _json(run, local(FOLDER / name))
    assert cache["form"] == form
    assert [kind["compression"] for kind in cache["summary"]["kinds"]] == [compression]
    table = run("inspect", local(FOLDER / name)).out
    assert f"form:     {form}\n" in table
    assert f"{compression}: 10 blobs" in table


def test_help_names_every_field(run: InProcess) -> None:
    (cache,) = _json(run, MAX)
    text = run("inspect", "--help").out.partition("Fields of the JSON:")[2]
    described = dict(re.findall(r"^    (\S+) +((?:.|\n {6,})+)", text, re.MULTILINE))
    told = {name.strip("[]"): _words(text) for name, text in described.items()}
    assert told["caches"] == {*cache, *cache["manifest"]} - {"null", "or"}
    assert told["summary"] == set(cache["summary"])
    assert told["kinds"] == set(cache["summary"]["kinds"][0])
    assert told["layers"] == set(cache["layers"][0])
    record = next(record for record in cache["records"] if record["results"])
    assert told["records"] == {*record, *record["inputs"][0][0]}
    assert told["results"] == set(record["results"][0])


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text)) - {"null", "or"}


def test_table(run: InProcess) -> None:
    ran = run("inspect", MAX)
    assert ran.err == ""
    summary, records = ran.out.split("\n\n")
    assert summary.splitlines() == [
        "form:     image-manifest",
        "manifest: sha256:f872c5a9944f5ab15a8300546db2bfe54ce46c0ccccc62d186f6c8f98d5ca445",
        "          3,515 bytes, 0.3% of BuildKit's 1 MiB",
        "config:   sha256:cd474a333e0028c78118add2d934477b7722a89e344ebdad4ce831235075fb2f",
        "          3,944 bytes, 0.4% of BuildKit's 1 MiB",
        "records:  16 (10 results)",
        "layers:   10 (10 distinct blobs, 1.76 kB)",
        "          gzip: 10 blobs, 1.76 kB",
        "oldest:   2026-11-22 00:20:29Z",
        "newest:   2026-11-22 00:20:30Z",
    ]
    lines = records.splitlines()
    assert lines[:3] == [
        " #  RECORD        INPUTS  CREATED               LAYERS  TOP LAYER",
        " 1  060e17997f93       1  2026-11-22 00:20:29Z       1      574 B",
        "14  e4e0b9846343       1  2026-11-22 00:20:29Z       2      163 B",
    ]
    assert lines[-1] == " 2  09b93b9e8919       0  -                          -          -"
    assert len(lines) == 17


@pytest.mark.parametrize(
    ("limit", "shown", "more"),
    [([], 20, 621), (["--limit", "3"], 3, 638), (["--limit", "0"], 641, 0)],
)
def test_table_of_many_records_is_cut(
    run: InProcess, tmp_path: Path, limit: list[str], shown: int, more: int
) -> None:
    ran = run("inspect", local(unpack_wide(tmp_path)), *limit)
    _, records = ran.out.split("\n\n")
    lines = records.splitlines()
    if more:
        assert lines.pop() == f"and {more} more (--limit 0 shows all)"
    assert len(lines) == 1 + shown


def test_table_of_an_inline_cache_tells_the_steps(run: InProcess) -> None:
    ran = run("inspect", local(FOLDER / "inline-image.tar"))
    assert ran.out.startswith("form:     inline\nrecords:  16 (6 results)\n")
    assert "COPY tool /bin/tool" in ran.out


def test_inline_caches_of_several_platforms(run: InProcess, tmp_path: Path) -> None:
    folder = _both_images(tmp_path)
    caches = _json(run, local(folder))
    assert [cache["form"] for cache in caches] == ["inline", "inline"]
    assert [cache["manifest"] for cache in caches] == [None, None]
    alone = [
        _json(run, local(FOLDER / name))[0]
        for name in ("inline-image.tar", "copy-link-inline-image.tar")
    ]
    assert caches == alone
    chained = [result for record in alone[1]["records"] for result in record["results"]]
    assert any(result["chain"] for result in chained)
    table = run("inspect", local(folder)).out
    assert re.findall(r"^cache \d of \d$", table, re.MULTILINE) == ["cache 1 of 2", "cache 2 of 2"]
    tree = run("inspect", local(folder), "--format", "tree").out
    assert tree.count("\n* ") + tree.count("-* ") == 6 + 7


def _both_images(tmp_path: Path) -> Path:
    folder = tmp_path / "both"
    entries = []
    for name in ("inline-image.tar", "copy-link-inline-image.tar"):
        unpack(FOLDER / name, folder)
        entries += json.loads((folder / "index.json").read_bytes())["manifests"]
    names = ("mediaType", "digest", "size")
    kind = "application/vnd.oci.image.index.v1+json"
    images = [{key: entry[key] for key in names} for entry in entries]
    raw = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": images}).encode()
    digest = Digest.of(raw)
    (folder / "blobs" / "sha256" / digest.encoded).write_bytes(raw)
    tag = {"org.opencontainers.image.ref.name": "latest"}
    entry = {"mediaType": kind, "digest": digest, "size": len(raw), "annotations": tag}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return folder


def test_an_image_without_inline_cache(run: InProcess) -> None:
    ran = run("inspect", local(FOLDER / "docker-archive.tar"))
    assert (ran.code, ran.out) == (66, "")
    assert "the image has no inline cache" in ran.errors[0]


def test_tree(run: InProcess) -> None:
    ran = run("inspect", MAX, "--format", "tree")
    assert ran.out.splitlines() == [
        "* record with a result, o without; #number; <- its inputs, | between alternatives",
        "",
        "no record stands below these:",
        "  o 09b93b9e8919 #2",
        "  o 38d520cf1ab0 #5",
        "  o 51bbae5d08b4 #7",
        "  o 88eef50db8b2 #9",
        "  o fa43eb9de6cf #15",
        "",
        "o 99dbffa949a6 #11",
        "* 060e17997f93 #1  1 layer, 574 B, 2026-11-22 00:20:29Z",
        "* e4e0b9846343 #14  2 layers, 163 B, 2026-11-22 00:20:29Z",
        "|-* 0bd0b7104eee #3  3 layers, 151 B, 2026-11-22 00:20:29Z  <- #14 + #2",
        "|-* 4a631d44bee2 #6  3 layers, 92 B, 2026-11-22 00:20:29Z",
        "* c734402a6123 #12  3 layers, 114 B, 2026-11-22 00:20:29Z  <- #14 + #9",
        "* 0172a58a37d8 #0  4 layers, 111 B, 2026-11-22 00:20:29Z",
        "* 97517ecbb264 #10  4 layers, 125 B, 2026-11-22 00:20:29Z  <- #3 + (#0 | #15)",
        "* 66137604fa39 #8  4 layers, 157 B, 2026-11-22 00:20:29Z  <- #6 + (#7 | #10)",
        "* ca76b3041843 #13  5 layers, 143 B, 2026-11-22 00:20:29Z  <- #8 + (#0 | #5)",
        "* 0dd0783ddd2f #4  6 layers, 132 B, 2026-11-22 00:20:30Z",
    ]


@pytest.mark.parametrize("name", [*LAYOUTS, "wide"])
def test_dot_has_every_record_and_link_once(run: InProcess, tmp_path: Path, name: str) -> None:
    folder = unpack_wide(tmp_path) if name == "wide" else FOLDER / name
    (cache,) = _json(run, local(folder))
    dot = run("inspect", local(folder), "--format", "dot").out
    nodes = re.findall(r'^  (\w+) \[label="(\w+)[^\]]*\];$', dot, re.MULTILINE)
    assert len({node for node, _ in nodes}) == len(nodes) == len(cache["records"])
    assert [label for _, label in nodes] == [
        record["digest"].partition(":")[2][:12] for record in cache["records"]
    ]
    links = sum(len(one) for record in cache["records"] for one in record["inputs"])
    assert len(re.findall(r"^  \w+ -> \w+ ", dot, re.MULTILINE)) == links
    alternatives = sum(
        len(one) for record in cache["records"] for one in record["inputs"] if len(one) > 1
    )
    assert dot.count("style=dashed") == alternatives
    filled = sum(bool(record["results"]) for record in cache["records"])
    assert dot.count("style=filled") == filled


def test_graphviz_takes_it(run: InProcess) -> None:
    if shutil.which("dot") is None:
        lacking("graphviz", "there is no command dot")
    dot = run("inspect", MAX, "--format", "dot").out
    done = subprocess.run(
        ["dot", "-Tplain"], input=dot, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.count("\nnode ") == 16


def test_letters_that_stdout_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr("cachexport.cli.views.caches.in_line", lambda text: f"\N{SNOWMAN}{text}")
    assert main(["inspect", local(FOLDER / "inline-image.tar")]) == 0
    stdout.seek(0)
    assert "\\u2603COPY tool" in stdout.read()


def test_wide_stdout_is_not_cut_but_a_terminal_is() -> None:
    from cachexport.api.caches import (
        load_cache,
    )
    from cachexport.cli.views.caches import table_lines
    from cachexport.insight.inspect import inspect_cache

    inspections = [inspect_cache(c) for c in load_cache(local(FOLDER / "inline-image.tar"))]
    uncut = [re.sub(r"\x1b\[\d*m", "", line) for line in table_lines(inspections, 0, None)]
    cut = [re.sub(r"\x1b\[\d*m", "", line) for line in table_lines(inspections, 0, 80)]
    heading = next(number for number, line in enumerate(cut) if "RECORD" in line)
    assert max(map(len, cut[heading:])) <= 80 < max(map(len, uncut[heading:]))
    assert any(line.endswith("...") for line in cut)
