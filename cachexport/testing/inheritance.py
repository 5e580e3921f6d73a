"""What a run of tests takes over from the process that started it: as little as it can.

A shell starts what it runs in the background with interrupts ignored, `nohup` with hang-ups; a
login has a umask, a locale, proxies and a folder of settings. Programs heed all of these, so that
a test of one would tell of the machine instead.
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

# The rest is left out, whatever it is: nobody can list what all programs and libraries ask for.
_KEPT = (
    "CACHEXPORT_MUST_RUN",
    # Finding programs, and what they need to run at all.
    "PATH",
    "LD_*",
    "DYLD_*",
    "PYTHONHOME",
    "PYTHONPATH",
    # Where compiled modules go does not change what they do.
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPYCACHEPREFIX",
    # What pytest and its plugins ask for while tests run; with CI, differences are shown whole.
    "CI",
    "PYTEST_DEBUG_TEMPROOT",
    "PYTEST_XDIST_*",
    "COV_CORE_*",
    "COVERAGE_*",
)
# Nothing is in that home, and not even root can make anything there.
_SET = {"HOME": "/dev/null", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
_UMASK = 0o022
# Python ignores the first two itself, but not in what it starts. The others stop a terminal's jobs:
# a job that writes to it from the background needs them ignored.
_LEFT_ALONE = {signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}


def inherit_nothing(config: pytest.Config, keep: Iterable[str] = ()) -> None:
    """Let each test and what it starts see the same, whatever process started pytest.

    Call it in `pytest_configure`. Of the environment it leaves PATH, what Python, pytest and
    coverage need to run, and the variables that match a pattern of `keep`, as the shell's patterns
    are. HOME is then a folder that cannot be, LC_ALL is C.UTF-8, TZ is UTC, and TMPDIR is where
    Python has its temporary files, by a path without links. The umask is 022. No signal is blocked,
    and what a test starts ignores none, those that stop a terminal's jobs apart. To pytest itself
    those that it was started to ignore still do nothing.

    Where pytest-xdist hands the tests out, that is done by the processes that run them, not by the
    one that waits for them. When pytest is done, environment and umask are as they were.
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
    # As the kernel tells where a mount or an open file is: without links.
    temporary = os.path.realpath(tempfile.gettempdir())
    patch.setattr(tempfile, "tempdir", temporary)
    for name in [*os.environ]:
        if not any(fnmatchcase(name, pattern) for pattern in kept):
            patch.delenv(name)
    for name in ("COLUMNS", "LINES"):
        # Readline, which pytest loads, sets them behind Python's back: children alone see them.
        os.unsetenv(name)
    for name, value in {**_SET, "TMPDIR": temporary}.items():
        patch.setenv(name, value)


def _pass_no_signals_on() -> None:
    """Block and ignore no signal. A child takes both over, but no handler."""
    for number in signal.valid_signals() - _LEFT_ALONE:
        if signal.getsignal(number) is signal.SIG_IGN:
            # A child's end does nothing by default; ignored, it hides the exit code.
            handler = signal.SIG_DFL if number == signal.SIGCHLD else _do_nothing
            signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _do_nothing(number: int, frame: object) -> None:
    """Take a signal as if it were ignored."""
