"""Messages and exit codes."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import threading
from pathlib import Path
from shlex import quote
from typing import NoReturn

import pytest
from cli.commands import FakeBackend, InProcess, environment, install, local, process
from support.caches import FOLDER

from cachexport.cli.process import guard, interruptible
from cachexport.content.progress import Event
from cachexport.errors import BackendError, Conflict, Integrity, NotFound

MAX = local(FOLDER / "max")


def _raise(error: BaseException) -> NoReturn:
    raise error


@pytest.mark.parametrize(
    ("source", "code", "part"),
    [
        ("type=local,src=/nowhere/at/all", 66, "no cache to import: type=local,src=/nowhere"),
        ("type=local,src=x,colour=red", 2, "unknown attribute 'colour'"),
        ("type=local", 2, "needs src="),
        ("type=warehouse", 69, "no backend for type=warehouse"),
        ("", 2, "not a cache specification"),
    ],
)
def test_exit_codes_of_a_source(run: InProcess, source: str, code: int, part: str) -> None:
    ran = run("export", "--cache-from", source, "--cache-to", "type=local,dest=/nowhere/x")
    assert (ran.code, ran.out) == (code, "")
    (error,) = ran.errors
    assert part in error
    assert "Traceback" not in ran.err


def test_damaged_source(run: InProcess, tmp_path: Path) -> None:
    (tmp_path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (tmp_path / "index.json").write_text('{"manifests":[{"digest":"sha256:zz"}]}')
    ran = run("inspect", local(tmp_path))
    assert ran.code == 65
    assert "manifests[0].digest" in ran.errors[0]


def test_several_failures_are_several_lines_and_the_worst_code(
    run: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = {"a": NotFound("gone"), "b": Conflict("busy"), "c": Integrity("rotten")}

    def copy(*_: object, **__: object) -> NoReturn:
        inner = ExceptionGroup("inner", [errors["b"], errors["c"]])
        raise ExceptionGroup("several exports failed", [errors["a"], inner])

    monkeypatch.setattr("cachexport.api.caches.copy_cache", copy)
    ran = run("export", "--cache-from", "a", "--cache-to", "b", "--progress", "quiet")
    assert ran.code == 75
    assert ran.err.splitlines() == [
        "cachexport: error: gone",
        "cachexport: error: busy",
        "cachexport: error: rotten",
    ]


def test_two_real_targets_fail(run: InProcess, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    bad = [local(file, "dest"), local(file, "dest", tag="other")]
    good = local(tmp_path / "good", "dest")
    to = [word for spec in (bad[0], good, bad[1]) for word in ("--cache-to", spec)]
    ran = run("export", "--cache-from", MAX, *to)
    assert ran.code == 70
    first, answer, last = json.loads(ran.out)
    assert first["exit_code"] == last["exit_code"] == 70
    assert str(file) in first["error"]
    assert json.loads(answer["cache.manifest"])["digest"].startswith("sha256:")
    assert len(ran.errors) == 2
    assert (tmp_path / "good" / "index.json").exists()


def test_notes_of_an_error_follow_it(capsys: pytest.CaptureFixture[str]) -> None:
    error = BackendError("no room\x1b[2J", op="write")
    error.add_note("also: no time")
    assert guard(lambda: _raise(error)) == 74
    assert capsys.readouterr().err == (
        "cachexport: error: no room\\x1b[2J\ncachexport: note: also: no time\n"
    )


def test_a_bug_says_so_and_where_only_on_request(
    run: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = FakeBackend(source_of=lambda _: _raise(OSError(5, "surprise")))
    install(monkeypatch, {"broken": backend})
    ran = run("inspect", "type=broken")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("cachexport: internal error: OSError: [Errno 5] surprise\n")
    assert "--debug" in ran.err
    assert "Traceback" not in ran.err
    debug = run("--debug", "inspect", "type=broken")
    assert debug.code == 1
    assert "Traceback" in debug.err
    assert "internal error: OSError" in debug.err


def test_a_path_alone_gets_a_hint(run: InProcess) -> None:
    ran = run("inspect", str(FOLDER))
    assert ran.code == 2
    assert f"type=local,src={FOLDER}" in ran.err


def test_an_interrupt_is_130(run: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    def copy(*_: object, **__: object) -> NoReturn:
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the interrupt did not arrive")

    monkeypatch.setattr("cachexport.api.caches.copy_cache", copy)
    before = signal.getsignal(signal.SIGINT)
    ran = run("export", "--cache-from", "a", "--cache-to", "b")
    assert (ran.code, ran.out) == (130, "")
    assert ran.errors == ["cachexport: error: interrupted"]
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_stops_the_threads_too() -> None:
    heard: list[Event] = []
    with interruptible(heard.append) as hear:
        hear(Event("writing", "started"))
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        problems: list[BaseException] = []
        thread = threading.Thread(target=lambda: problems.append(_caught(hear)))
        thread.start()
        thread.join()
        hear(Event("writing", "done", error="stopped"))
    assert isinstance(problems[0], KeyboardInterrupt)
    assert [event.state for event in heard] == ["started", "done"]


def _caught(hear: object) -> BaseException:
    assert callable(hear)
    try:
        hear(Event("writing", "moved", 1, 2))
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


_WAITING = """
import sys, threading
from cachexport.contract import discovery
from cachexport.cli import main

class Waiting:
    def load(self): return self
    def source(self, spec): return self
    target = source
    def close(self): pass

class Source(Waiting):
    def load(self):
        print("ready", file=sys.stderr, flush=True)
        while True:  # an interrupt between two waits is seen by the next one
            threading.Event().wait(0.1)

class Entry(Waiting):
    def source(self, spec): return Source()

discovery.installed_backends = lambda: {"waiting": Entry()}
sys.exit(main(["export", "--cache-from", "type=waiting", "--cache-to", "type=waiting"]))
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_signals_end_the_process(number: signal.Signals, code: int) -> None:
    command = [sys.executable, "-c", _WAITING]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as child:
        assert child.stderr is not None
        assert child.stdout is not None
        while (line := child.stderr.readline()) != "ready\n":
            assert line.startswith("#1 importing cache manifest from type=waiting")
        child.send_signal(number)
        assert child.wait(60) == code
        assert child.stderr.read() == "#1 ERROR: interrupted\ncachexport: error: interrupted\n"
        assert child.stdout.read() == ""


def shell(command: str) -> subprocess.CompletedProcess[str]:
    """Run `cachexport …` with a shell's redirections."""
    argv = ["sh", "-c", f"{sys.executable} -m cachexport {command}"]
    return subprocess.run(
        argv, env=environment(), stderr=subprocess.PIPE, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(("closed", "code"), [("2>&-", 0), (">&-", 74), (">&- 2>&-", 74)])
def test_a_closed_stream_does_not_stop_an_export(tmp_path: Path, closed: str, code: int) -> None:
    to = local(tmp_path / "out", "dest")
    done = shell(f"export --cache-from {MAX} --cache-to {quote(to)} {closed}")
    assert (tmp_path / "out" / "index.json").exists()
    assert done.returncode == code


@pytest.mark.parametrize("command", ["--help", "inspect --help", "--version", f"inspect {MAX}"])
@pytest.mark.parametrize(
    ("to", "said"), [(">&-", "Bad file descriptor"), (">/dev/full", "No space left on device")]
)
def test_an_answer_that_cannot_be_written(command: str, to: str, said: str) -> None:
    done = shell(f"{command} {to}")
    assert (done.returncode, done.stderr) == (
        74,
        f"cachexport: error: cannot write stdout: {said}\n",
    )


@pytest.mark.parametrize("form", ["table", "json"])
def test_broken_pipe_is_quiet(form: str) -> None:
    command = [sys.executable, "-m", "cachexport", "inspect", MAX, "--format", form]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(60) == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_stdout() -> None:
    command = [sys.executable, "-m", "cachexport", "inspect", MAX]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment(), check=False
        )
    assert done.returncode == 74
    assert done.stderr == "cachexport: error: cannot write stdout: No space left on device\n"


def test_quiet_keeps_warnings_and_drops_notes(run: InProcess, tmp_path: Path) -> None:
    pasted = local(FOLDER / "max", dest="elsewhere")
    absent = local(tmp_path / "absent")
    to = local(tmp_path / "out", "dest")
    args = ["export", "--cache-from", pasted, "--cache-from", absent, "--cache-to", to]
    loud = run(*args, "--progress", "plain")
    quiet = run(*args, "--progress", "quiet")
    assert f"cachexport: note: {pasted}: attribute dest has no effect here" in loud.err
    assert [line.split(":")[1] for line in quiet.err.splitlines()] == [" warning"]
    assert quiet.out == loud.out


def test_logging_is_left_as_it_was(run: InProcess) -> None:
    logger = logging.getLogger("cachexport")
    before = (list(logger.handlers), logger.level, logger.propagate)
    run("inspect", MAX)
    assert (list(logger.handlers), logger.level, logger.propagate) == before


def test_no_colour_without_a_terminal() -> None:
    ran = process("inspect", "type=local,src=/nowhere")
    assert ran.code == 66
    assert "\x1b" not in ran.err
