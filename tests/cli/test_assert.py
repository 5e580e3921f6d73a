from __future__ import annotations

import json

import pytest
from cli.commands import InProcess, local
from support import caches

MAX, MIN = (local(caches.FOLDER / name) for name in ("max", "min"))


def test_what_holds(run: InProcess) -> None:
    ran = run("assert", MAX, "--min-records", "16", "--min-results", "10")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "ok       min-records     16 records, wanted 16 at least",
        "ok       min-results     10 results, wanted 10 at least",
    ]


def test_what_does_not_hold_is_told_beside_what_does(run: InProcess) -> None:
    ran = run("assert", MIN, "--min-records", "1", "--max-shrink", "30%", "--vs", MAX)
    assert ran.code == 70
    assert [line.split()[0] for line in ran.out.splitlines()] == ["ok", "ok", "failed"]
    assert "6 results after 10, 40.0% fewer, wanted 30% fewer at most" in ran.out
    assert run("assert", MIN, "--max-shrink", "40", "--vs", MAX).code == 0


def test_the_first_build_has_nothing_to_compare_with(run: InProcess) -> None:
    ran = run("assert", MAX, "--max-shrink", "0%", "--vs", local("/nowhere"))
    assert ran.code == 0
    assert {line.split()[0] for line in ran.out.splitlines()} == {"skipped"}
    assert run("assert", local("/nowhere"), "--min-records", "0").code == 66


def test_the_json(run: InProcess) -> None:
    ran = run("assert", MAX, "--min-results", "11", "--format", "json")
    assert ran.code == 70
    told = json.loads(ran.out)
    assert told["holds"] is False
    [check] = told["checks"]
    assert (check["name"], check["figure"], check["limit"]) == ("min-results", 10, 11)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "nothing to check"),
        (["--max-shrink", "30%"], "go together"),
        (["--vs", "x", "--min-records", "1"], "go together"),
        (["--max-shrink", "101%", "--vs", "x"], "no percentage"),
        (["--max-shrink", "much", "--vs", "x"], "no percentage"),
    ],
)
def test_misuse(run: InProcess, args: list[str], said: str) -> None:
    ran = run("assert", MAX, *args)
    assert ran.code == 2
    assert said in ran.errors[0]
