"""Keeping what a run of tests inherits from the process that started it out of the tests.

A shell starts background jobs with interrupts ignored, `nohup` ignores hang-ups; a login has a
umask, a locale, proxies and a folder of settings. Programs heed all of these, so a test of one
would depend on the machine.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from contextlib import ExitStack
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

# All else is removed: nobody can list the variables that all programs and libraries read.
_KEPT = (
    "CACHEXPORT_MUST_RUN",
    # What programs need to be found and to run at all.
    "PATH",
    "LD_*",
    "DYLD_*",
    "PYTHONHOME",
    "PYTHONPATH",
    # The folder of compiled modules does not change what they do.
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPYCACHEPREFIX",
    # What pytest and its plugins read while tests run; with CI, differences are shown whole.
    "CI",
    "PYTEST_DEBUG_TEMPROOT",
    "PYTEST_XDIST_*",
    "COV_CORE_*",
    "COVERAGE_*",
)
# A home in which nothing is, and in which not even root can make anything.
_SET = {"HOME": "/dev/null", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
_UMASK = 0o022
# Python ignores the first two itself, but restores them in children. The other three stop a job
# of a terminal; a process that writes to one from the background needs them ignored.
_LEFT_ALONE = {signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTTIN, signal.SIGTTOU, signal.SIGTSTP}


def inherit_nothing(config: pytest.Config, keep: Iterable[str] = ()) -> None:
    """Give each test and its children the same surroundings, whatever process started pytest.

    Call it in `pytest_configure`. Of the environment it leaves PATH, what Python, pytest and
    coverage need to run, and the variables that match a shell pattern of `keep`. HOME is then a
    folder that cannot exist, LC_ALL is C.UTF-8, TZ is UTC, and TMPDIR is where Python has its
    temporary files, by a path without links. The umask is 022. No signal is blocked. Children of a
    test ignore no signal, except those that stop the jobs of a terminal; pytest itself goes on
    ignoring what it was started to ignore.

    With pytest-xdist, this happens in the processes that run tests, not in the one that waits for
    them. When pytest is done, environment and umask are restored.
    """
    if config.getoption("dist", "no") != "no":
        return
    undoing = ExitStack()
    config.add_cleanup(undoing.close)
    undoing.callback(os.umask, os.umask(_UMASK))
    undoing.callback(time.tzset)
    _clean_environment(undoing.enter_context(pytest.MonkeyPatch.context()), [*_KEPT, *keep])
    time.tzset()
    _pass_no_signals_on()


def _clean_environment(patch: pytest.MonkeyPatch, kept: list[str]) -> None:
    # Without links, as the kernel reports the path of a mount or an open file.
    temporary = os.path.realpath(tempfile.gettempdir())
    patch.setattr(tempfile, "tempdir", temporary)
    for name in [*os.environ]:
        if not any(fnmatchcase(name, pattern) for pattern in kept):
            patch.delenv(name)
    for name in ("COLUMNS", "LINES"):
        # Readline, which pytest loads, sets them behind Python's back: only children see them.
        os.unsetenv(name)
    for name, value in {**_SET, "TMPDIR": temporary}.items():
        patch.setenv(name, value)


def _pass_no_signals_on() -> None:
    """Block and ignore no signal. Children inherit both, but no handlers."""
    for number in signal.valid_signals() - _LEFT_ALONE:
        if signal.getsignal(number) is signal.SIG_IGN:
            # The end of a child does nothing by default; when ignored, the exit code is lost.
            handler = signal.SIG_DFL if number == signal.SIGCHLD else _do_nothing
            signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _do_nothing(number: int, frame: object) -> None:
    """Handle a signal by doing nothing."""
