from __future__ import annotations

import json

from cli.commands import InProcess, local
from support import caches

A, B = (local(caches.FOLDER / name) for name in ("max", "max-src-changed"))


def test_the_first_change_is_told(run: InProcess) -> None:
    ran = run("diff", A, B)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert "  0bd0b7104eee: input 1 was 09b93b9e8919, is 911e10b2c5d6" in lines
    assert "16 records in both" in lines
    marks = [line[0] for line in lines[lines.index("First changes:") + 4 :]]
    assert marks == [*"+++", *"~" * 10]


def test_the_list_can_be_cut(run: InProcess) -> None:
    ran = run("diff", A, B, "--limit", "2")
    assert ran.out.splitlines()[-1] == "and 9 more (--limit 0 shows all)"
    assert "more" not in run("diff", A, B, "--limit", "0").out


def test_the_exit_code_tells_if_asked(run: InProcess) -> None:
    assert run("diff", A, B, "--exit-code").code == 70
    same = run("diff", A, A, "--exit-code")
    assert same.code == 0
    assert same.out.splitlines()[-1] == "no difference"


def test_the_json_has_everything(run: InProcess) -> None:
    told = json.loads(run("diff", A, B, "--format", "json").out)
    [first] = told["first"]
    assert (first["reason"], first["input"], first["was"]) == ("input", 1, None)
    assert [len(told[kind]) for kind in ("gained", "lost", "changed")] == [3, 0, 10]
    assert told["common"] + len(told["gained"]) == told["b"]["records"]
    assert told["gained"][0]["before"] is None
    assert {"created_at", "layer", "size", "depth"} == set(told["gained"][1]["after"])


def test_a_cache_has_to_be_there(run: InProcess) -> None:
    assert run("diff", A, local("/nowhere")).code == 66
