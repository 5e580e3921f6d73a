"""The commands that push a cache, ours and those of other clients, and what running one costs.

- skopeo hashes what it sends, as we do.
- crane verifies nothing: it sends a blob under the name that the layout gives it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Cost:
    """What a run took: time, and at most so much memory."""

    seconds: float
    mebibytes: int


def ours(cache: Path, ref: str) -> list[str]:
    insecure = "" if ref.startswith("127.") else ",registry.insecure=true"
    source, target = f"type=local,src={cache}", f"type=registry,ref={ref}{insecure}"
    command = [sys.executable, "-m", "cachexport", "export", "--progress", "quiet"]
    return [*command, "--cache-from", source, "--cache-to", target]


def crane(cache: Path, ref: str) -> list[str]:
    return ["crane", "push", "--insecure", str(cache), ref]


def skopeo(cache: Path, ref: str) -> list[str]:
    flags = ["--dest-tls-verify=false", "--insecure-policy"]
    return ["skopeo", "copy", *flags, f"oci:{cache}:latest", f"docker://{ref}"]


def installed() -> dict[str, Callable[[Path, str], list[str]]]:
    """Give what makes the command of each tool there is; ours is first."""
    peers = {"crane": crane, "skopeo": skopeo}
    return {"ours": ours, **{name: peers[name] for name in peers if shutil.which(name)}}


def measure(command: list[str]) -> Cost:
    """Run a command; SystemExit if it fails."""
    os.sync()  # what was written before is not this one's cost
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    problem = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command}: {problem.decode()}")
    return Cost(seconds, usage.ru_maxrss // 1024)
