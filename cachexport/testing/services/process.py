"""Processes that end with the block, and with the test run even when that is killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cachexport.testing.services.machine import lacking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
# Our death before the kernel was told to watch for it is seen by who the parent is by then.
GUARD = ["/bin/sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"']


class ServiceFailed(Exception):
    """A service ended, or did not get ready; the end of its log is in the text."""


def program(name: str) -> str:
    """Give the path of an installed program; without it, the test is skipped or fails."""
    path = shutil.which(name, path=SEARCH_PATH)
    if path is None:
        lacking(name, "it is not installed")
    return path


@contextmanager
def running(
    argv: Sequence[str], log: Path, ready: Callable[[int], bool], seconds: float = 30
) -> Iterator[int]:
    """Run a program once `ready(pid)` holds, and give its process id.

    Nothing of our environment reaches it. The kernel kills it when the calling thread dies, so the
    block has to be entered by a thread that lives as long: a test's main thread.
    """
    process = _start(argv, log)
    try:
        _await(process, ready, log, time.monotonic() + seconds)
        yield process.pid
    finally:
        _end(process)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the environment of a program that is told nothing of ours."""
    return {"PATH": SEARCH_PATH, **(extra or {})}


def _start(argv: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - what tests run
            [program("setpriv"), "--pdeathsig", "KILL", *GUARD, str(os.getpid()), *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=environment(),
        )


def _await(
    process: subprocess.Popen[bytes], ready: Callable[[int], bool], log: Path, deadline: float
) -> None:
    while not ready(process.pid):
        if _ended_within(process, 0.01):
            raise ServiceFailed(f"ended with {process.returncode}\n{_tail(log)}")
        if time.monotonic() > deadline:
            raise ServiceFailed(f"not ready in time\n{_tail(log)}")


def _ended_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tail(log: Path, lines: int = 30) -> str:
    return "\n".join([f"{log} ends:", *log.read_text(errors="replace").splitlines()[-lines:]])
