"""What `doctor` shows of the checks that a backend brings, and the exit code that it ends with."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

import pytest
from cli.commands import FakeBackend, InProcess, install
from click import unstyle

from cachexport.cli.views.backends import DiagnosisTable
from cachexport.contract.checks import Check, Finding, failed, note, ok, skipped, warning
from cachexport.doctor.engine import Diagnosis, Examined, doctor, examination
from cachexport.errors import Auth, BackendError, Integrity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cachexport.contract.spec import Spec

SPEC = "type=fake,token=hunter2"


@dataclass
class FakeProbe:
    """A Probe with these checks; it counts how often it was closed."""

    listed: Sequence[Check]
    closed: int = 0

    def checks(self) -> Sequence[Check]:
        return self.listed

    def close(self) -> None:
        self.closed += 1


@dataclass
class Examinable(FakeBackend):
    made: FakeProbe = field(default_factory=lambda: FakeProbe([]))

    def probe(self, spec: Spec) -> FakeProbe:
        return self.made


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeProbe]:
    """Install a backend whose probe has these checks."""

    def installed(*checks: Check) -> FakeProbe:
        probe = FakeProbe(checks)
        install(monkeypatch, {"fake": Examinable(made=probe)})
        return probe

    return installed


def check(name: str, finding: Finding, *needs: str, writes: bool = False) -> Check:
    return Check(name=name, run=lambda: finding, needs=needs, writes=writes)


def failing(name: str, error: Exception, *needs: str) -> Check:
    def run() -> NoReturn:
        raise error

    return Check(name=name, run=run, needs=needs)


TABLE = """\
type=fake,token=***

ok       reach     http, 1.0 ms
note     ranges    not honoured: a download that breaks off is begun again from
                   its start
warning  clock     3,600 s behind
                   -> set the clock of this machine (timedatectl set-ntp true)
                      or of the other one
failed   login     as alice: refused
                   -> docker login registry.example
skipped  read      needs login, which failed

5 checks: 1 ok, 1 note, 1 warning, 1 failed, 1 skipped
"""


def test_the_table(
    run: InProcess, fake: Callable[..., FakeProbe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    probe = fake(
        check("reach", ok("http, 1.0 ms", milliseconds=1.0)),
        check(
            "ranges", note("not honoured: a download that breaks off is begun again from its start")
        ),
        check(
            "clock",
            warning(
                "3,600 s behind",
                "set the clock of this machine (timedatectl set-ntp true) or of the other one",
            ),
        ),
        check(
            "login",
            failed(
                Auth("no", op="log in"), "docker login registry.example", text="as alice: refused"
            ),
        ),
        check("read", ok("a cache"), "login"),
    )
    ran = run("doctor", SPEC)
    assert (ran.code, ran.out, ran.err) == (77, TABLE, "")
    assert probe.closed == 1


def test_the_document(run: InProcess, fake: Callable[..., FakeProbe]) -> None:
    fake(
        check("reach", ok("http", milliseconds=1.5, version=None)),
        failing("read", Integrity("rotten")),
        check("back", ok("same"), "read"),
    )
    ran = run("doctor", SPEC, "--format", "json")
    assert (ran.code, ran.err) == (70, "")
    assert json.loads(ran.out) == {
        "target": "type=fake,token=***",
        "exit_code": 70,
        "checks": [
            {
                "name": "reach",
                "outcome": "ok",
                "finding": "http",
                "advice": None,
                "facts": {"milliseconds": 1.5, "version": None},
                "exit_code": 0,
            },
            {
                "name": "read",
                "outcome": "failed",
                "finding": "rotten",
                "advice": None,
                "facts": {},
                "exit_code": 70,
            },
            {
                "name": "back",
                "outcome": "skipped",
                "finding": "needs read, which failed",
                "advice": None,
                "facts": {},
                "exit_code": 0,
            },
        ],
    }


def test_the_worst_failure_counts(fake: Callable[..., FakeProbe]) -> None:
    fake(
        failing("a", BackendError("no", op="x")),
        failing("b", Auth("no", op="x")),
        failing("c", Integrity("no")),
    )
    assert doctor("type=fake").exit_code == 77


@pytest.mark.parametrize("finding", [ok("x"), note("x"), warning("x", "y"), skipped("x")])
def test_nothing_else_is_a_failure(run: InProcess, fake: Callable[..., FakeProbe], finding) -> None:
    fake(check("only", finding))
    assert run("doctor", "type=fake").code == 0


def test_what_is_skipped_names_the_first_obstacle(fake: Callable[..., FakeProbe]) -> None:
    fake(
        check("a", skipped("not here")),
        check("b", ok("b"), "a"),
        check("c", ok("c"), "b"),
        check("d", ok("d")),
        check("e", ok("e"), "d", "gone"),
    )
    found = [result.finding.text for result in doctor("type=fake").results]
    assert found == [
        "not here",
        "needs a, which was skipped",
        "needs a, which was skipped",
        "d",
        "e",
    ]


def test_read_only_leaves_out_what_writes(run: InProcess, fake: Callable[..., FakeProbe]) -> None:
    probe = fake(
        check("look", ok("seen")),
        Check(name="write", run=lambda: pytest.fail("it was run"), writes=True),
        check("after", ok("fine"), "write"),
    )
    assert [item.check for item in doctor("type=fake", read_only=True).results] == ["look", "after"]
    assert "write" not in run("doctor", "type=fake", "--read-only").out
    assert probe.closed == 2


def test_a_row_is_shown_before_the_next_check_begins(
    fake: Callable[..., FakeProbe], capsys: pytest.CaptureFixture[str]
) -> None:
    from cachexport.cli import main

    seen: deque[str] = deque()

    def second() -> Finding:
        seen.append(capsys.readouterr().out)
        return ok("second")

    fake(check("one", ok("first")), Check(name="two", run=second))
    main(["doctor", "type=fake"])
    assert seen[0].splitlines()[-1].split() == ["ok", "one", "first"]
    assert "second" in capsys.readouterr().out


def test_checks_skipped_for_one_reason_share_a_row(
    run: InProcess, fake: Callable[..., FakeProbe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    names = [f"check-{number}" for number in range(1, 9)]
    fake(
        failing("reach", BackendError("nobody there", op="x")),
        *(check(name, ok("x"), "reach") for name in names),
        check("clock", skipped("no clock")),
    )
    lines = run("doctor", "type=fake").out.splitlines()
    assert lines[2:-2] == [
        "failed   reach      nobody there",
        "skipped  8 checks   check-1, check-2, check-3, check-4,",
        "                    check-5, check-6, check-7, check-8:",
        "                    needs reach, which failed",
        "skipped  clock      no clock",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 300])
def test_no_line_is_wider_than_the_terminal_or_hard_to_read(width: int) -> None:
    text, attribute = "many short words " * 12, "image-manifest=false,oci-mediatypes=false"
    result = Examined(check="missing-blobs", finding=warning(text, f"{text} {attribute}"))
    lines = [unstyle(line) for line in DiagnosisTable(["missing-blobs"], width).rows(result)]
    longest = max(len(line) for line in lines if attribute not in line)
    assert longest <= min(max(width, 48), 100)
    assert sum(attribute in line for line in lines) == 1


def test_nothing_that_a_stranger_says_reaches_the_terminal_raw() -> None:
    table = DiagnosisTable(["x"], 80)
    hostile = "\x1b[2J\x07 done"
    result = Examined(check="x", finding=warning(hostile, hostile))
    diagnosis = Diagnosis(target=hostile, results=(result,))
    lines = [*table.head(hostile), *table.rows(result), *table.foot(diagnosis)]
    assert all("\x1b[2J" not in line and "\x07" not in line for line in lines)
    assert any(r"\x1b[2J\x07 done" in line for line in lines)


def test_a_backend_without_checks_says_so(run: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {"plain": FakeBackend()})
    ran = run("doctor", "type=plain,token=hunter2")
    assert (ran.code, ran.out) == (69, "")
    [error] = ran.errors
    assert "type=plain has no checks" in error
    assert "a method `probe`" in error
    assert "hunter2" not in error


@pytest.mark.parametrize(
    ("spec", "code", "part"),
    [
        ("type=warehouse", 69, "no backend"),
        ("type=local", 2, "dest="),
        ("type=local,dest=x,colour=red", 2, "colour"),
        ("type=registry", 2, "ref="),
        ("", 2, "not a cache specification"),
    ],
)
def test_what_cannot_be_examined(run: InProcess, spec: str, code: int, part: str) -> None:
    ran = run("doctor", spec)
    assert (ran.code, ran.out) == (code, "")
    [error] = ran.errors
    assert part in error


def test_a_bug_in_a_check_is_one_and_the_probe_is_closed(
    run: InProcess, fake: Callable[..., FakeProbe]
) -> None:
    probe = fake(check("one", ok("first")), failing("two", OSError(5, "surprise")))
    ran = run("doctor", "type=fake")
    assert ran.code == 1
    assert "internal error: OSError" in ran.err
    assert "first" in ran.out
    assert probe.closed == 1


def test_who_stops_looking_closes_the_probe(fake: Callable[..., FakeProbe]) -> None:
    probe = fake(check("one", ok("first")), failing("two", AssertionError("it was run")))
    with pytest.raises(KeyboardInterrupt), examination("type=fake") as prepared:
        next(prepared.run())
        assert not probe.closed
        raise KeyboardInterrupt
    assert probe.closed == 1
