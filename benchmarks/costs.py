"""What running a command costs."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Cost:
    """What a run took: time, and at most so much memory."""

    seconds: float
    mebibytes: int


def measure(command: list[str], env: Mapping[str, str] | None = None) -> Cost:
    """Run a command; SystemExit if it fails."""
    os.sync()  # what was written before is not this one's cost
    start = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    problem = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command}: {problem.decode()}")
    return Cost(seconds, usage.ru_maxrss // 1024)
