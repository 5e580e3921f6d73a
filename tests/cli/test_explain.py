from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from cli.commands import InProcess, local
from support import caches

if TYPE_CHECKING:
    from pathlib import Path

MAX = local(caches.FOLDER / "max")


def test_a_record_as_text(run: InProcess) -> None:
    ran = run("explain", MAX, "--digest", "6613")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0].startswith("record 8  sha256:66137604fa39")
    assert lines[1] == "an import would use it"
    assert "  input 1: 51bbae5d08b4 #7 | 97517ecbb264 #10 [f552b7b4e14d]" in lines
    assert "  99dbffa949a6 > 060e17997f93 > e4e0b9846343 > 4a631d44bee2 > 66137604fa39" in lines
    assert sum(line.endswith("there") for line in lines) == 4
    assert lines[-2:] == [
        "2 records depend on it, 2 with a result",
        "  ca76b3041843 #13 as input 0",
    ]


def test_what_hinders_is_told(run: InProcess, tmp_path: Path) -> None:
    cache = shutil.copytree(caches.FOLDER / "max", tmp_path / "cache")
    blob = "5743138fa9d709aeff7191694d022c73ec1e7b99dd6b7cad3a3eff23275dc289"
    (cache / "blobs" / "sha256" / blob).unlink()
    ran = run("explain", local(cache), "--digest", "6613")
    assert ran.code == 0
    assert "an import would not use it:" in ran.out
    assert f"  missing  sha256:{blob}: it is not there" in ran.out.splitlines()
    told = json.loads(run("explain", local(cache), "--digest", "6613", "--format", "json").out)
    [record] = told["records"]
    assert record["usable"] is False
    assert [item["kind"] for item in record["obstacles"]] == ["missing"]
    states = [layer["obstacle"] for layer in record["results"][0]["layers"]]
    assert states == [None, None, "missing", None]


def test_the_json_has_everything(run: InProcess) -> None:
    told = json.loads(run("explain", MAX, "--digest", "6613", "--format", "json").out)
    [record] = told["records"]
    assert (record["record"], record["usable"], record["obstacles"]) == (8, True, [])
    assert [len(links) for links in record["inputs"]] == [1, 2]
    assert record["path"][-1]["record"] == 8
    assert record["children"] == [
        {**record["children"][0], "record": 13, "input": 0, "selector": ""}
    ]


def test_an_ambiguous_digest(run: InProcess) -> None:
    ran = run("explain", MAX, "--digest", "0")
    assert (ran.code, ran.out) == (2, "")
    assert "5 digests begin with '0'" in ran.errors[0]
