"""A run of tests tells the same, whatever process started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
IGNORED = [signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD]
# What Python needs is in it, where it needs more than PATH.
OURS = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
THEIRS = {
    **OURS,
    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    "PYTHONWARNINGS": "always",
    "HOME": "/nowhere/home",
    "XDG_CONFIG_HOME": "/nowhere/config",
    "DOCKER_CONFIG": "/nowhere/docker",
    "AWS_PROFILE": "theirs",
    "CACHEXPORT_STORE": "/nowhere/store",
    "LC_ALL": "tlh_QO.ISO-8859-1",
    "TZ": "Asia/Kathmandu",
    "TMPDIR": "",
    "TMP": tempfile.gettempdir(),
    "TERM": "xterm",
    "COLUMNS": "30",
    "FORCE_COLOR": "1",
    "SOURCE_DATE_EPOCH": "today",
    **dict.fromkeys(["HTTP_PROXY", "https_proxy", "ALL_PROXY"], "http://192.0.2.1:9"),
    "MINE_URL": "kept",
}
CONFTEST = """
import pytest
from cachexport.testing import inherit_nothing

@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    inherit_nothing(config, keep=["MINE_*"])
"""
# What a test and what it starts see, into a file.
SEEN = """
import json, os, signal, subprocess, sys, time

CHILD = '''
import json, os, signal, sys
print(json.dumps({
    "environment": dict(os.environ),
    "umask": os.umask(0),
    "ignored": [n for n in signal.valid_signals() if signal.getsignal(n) is signal.SIG_IGN],
    "blocked": [*signal.pthread_sigmask(signal.SIG_BLOCK, ())],
}))
'''

def test_what_is_seen():
    child = subprocess.run([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, check=True)
    seen = json.loads(child.stdout) | {"hour": time.localtime(0).tm_hour}
    with open("seen.json", "w") as file:
        json.dump(seen, file)
    assert subprocess.run(["sh", "-c", "exit 3"]).returncode == 3

def test_that_the_run_itself_ignores_what_it_was_started_to_ignore():
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.raise_signal(number)
"""
# Runs pytest as an editor does.
RUNNER = """
import os, time, pytest

def inherited():
    umask = os.umask(0)
    os.umask(umask)
    return umask, dict(os.environ), time.localtime(0)

before = inherited()
assert pytest.main([]) == 0
assert inherited() == before
"""


def _as_a_bad_parent() -> None:
    """Set what a child inherits as no test wants it, whatever this process has inherited."""
    os.umask(0o077)
    for number in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(number, signal.SIG_DFL)
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGALRM])


def under_a_bad_parent(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=THEIRS,
        preexec_fn=_as_a_bad_parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give the folder of a stranger's project with a test of what it sees."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_seen.py").write_text(SEEN)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


@pytest.mark.parametrize("workers", ["0", "1"])
def test_tests_and_what_they_start_see_nothing_of_a_bad_parent(project: Path, workers: str) -> None:
    done = under_a_bad_parent(project, "-m", "pytest", "-n", workers)
    assert done.returncode == 0, done.stdout
    assert "\x1b[32m" in done.stdout  # in colours, as pytest itself was told
    seen = json.loads((project / "seen.json").read_text())
    environment = seen["environment"].items()
    assert {name: text for name, text in environment if not name.startswith("PYTEST_")} == {
        **OURS,
        "PYTHONPATH": THEIRS["PYTHONPATH"],
        "MINE_URL": "kept",
        "HOME": "/dev/null",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "TMPDIR": tempfile.gettempdir(),
    }
    assert seen["umask"] == 0o022
    assert seen["ignored"] == [signal.SIGPIPE, signal.SIGXFSZ]  # which Python itself does
    assert (seen["blocked"], seen["hour"]) == ([], 0)


def test_who_runs_pytest_gets_environment_and_umask_back(project: Path) -> None:
    done = under_a_bad_parent(project, "-c", RUNNER)
    assert done.returncode == 0, done.stdout


def test_our_own_tests_pass_under_a_bad_parent() -> None:
    tests = ["tests/cli/test_failures.py", "-k", "signal or interrupt or pipe"]
    done = under_a_bad_parent(ROOT, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", *tests)
    assert done.returncode == 0, done.stdout
    assert "7 passed" in done.stdout
