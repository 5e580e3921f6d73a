"""Real services for tests: programs of the machine, on free ports.

They end with the block, and with the test run even when that is killed.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import pytest

from cachexport.content.clock import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path


def lacking(what: str, why: str) -> NoReturn:
    """Skip the test; fail instead where CACHEXPORT_MUST_RUN lists `what`, or is `all`."""
    required = os.environ.get("CACHEXPORT_MUST_RUN", "").split(",")
    if what in required or "all" in required:
        pytest.fail(f"CACHEXPORT_MUST_RUN wants tests that need {what}: {why}")
    pytest.skip(f"needs {what}: {why}")


LOWEST, BEYOND = 10_000, 22_768
"""Below the ports of outgoing connections, and with room for a second port 10,000 higher."""


def free_port() -> int:
    """Give a port that no other caller on this machine gets while this process lives."""
    for port in random.SystemRandom().sample(range(LOWEST, BEYOND), BEYOND - LOWEST):
        if _claim(port) and _is_free(port):
            return port
    raise OSError(f"no port from {LOWEST} to {BEYOND - 1} is free")


def answers(port: int) -> bool:
    """Say whether something listens on a port of this machine."""
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def _claim(port: int) -> bool:
    """Claim a port by an abstract socket, which the kernel releases at the process's end."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0cachexport-tests-port-{port}")
    except OSError:
        claim.close()
        return False
    claim.detach()
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
# If we die before the kernel watches for it, the parent is another process by then.
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
        _await(process, ready, log, clock().monotonic() + seconds)
        yield process.pid
    finally:
        _end(process)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the environment of a service: only PATH, and `extra`."""
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
        if clock().monotonic() > deadline:
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
