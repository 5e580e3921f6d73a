"""How long a cache takes into a bucket, beside other programs that are installed.

    python benchmarks/s3.py [--repeat N] [LAYERS SIZE]...

Starts SeaweedFS (which comes with `.[test]`) and writes a cache of LAYERS layers of SIZE random
bytes: cold, and warm, with nothing changed. rclone and aws, where they are on the PATH, copy the
same files in the same run; a ratio is our time by that of the fastest of them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from costs import Cost, measure
from samples import make_caches
from seaweed import BUCKET, LOGIN, bucket

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT = [24, 40 << 20, 600, 100]
STATES = ("cold", "warm")


def ours(cache: Path, endpoint: str) -> list[str]:
    command = [sys.executable, "-m", "cachexport", "export", "--progress", "quiet"]
    target = f"type=s3,bucket={BUCKET},endpoint_url={endpoint}"
    return [*command, "--cache-from", f"type=local,src={cache}", "--cache-to", target]


def rclone(cache: Path, endpoint: str) -> list[str]:
    flags = ["--s3-provider=Other", f"--s3-endpoint={endpoint}", "--s3-env-auth"]
    flags += ["--s3-region=us-east-1", "--s3-force-path-style", "--config="]
    return ["rclone", "sync", *flags, str(cache), f":s3:{BUCKET}/rclone"]


def aws(cache: Path, endpoint: str) -> list[str]:
    return ["aws", "s3", "sync", "--endpoint-url", endpoint, str(cache), f"s3://{BUCKET}/aws"]


def installed() -> dict[str, Callable[[Path, str], list[str]]]:
    """Give what makes the command of each program there is; ours is first."""
    peers = {"rclone": rclone, "aws": aws}
    return {"ours": ours, **{name: peers[name] for name in peers if shutil.which(name)}}


def write_all(cache: Path, command: Callable[[Path, str], list[str]]) -> dict[str, Cost]:
    """Write to a new server, cold and warm."""
    # What some machines set for others, rclone takes for a bundle of its own.
    env = {name: value for name, value in os.environ.items() if name != "AWS_CA_BUNDLE"} | LOGIN
    with bucket() as endpoint:
        return {state: measure(command(cache, endpoint), env) for state in STATES}


def compare(layers: int, size: int, repeat: int) -> None:
    """Print a line for each state, with each program's best time."""
    with tempfile.TemporaryDirectory() as name:
        cache, grown = Path(name, "cache"), Path(name, "grown")
        # In a process of its own: Linux counts the memory of whoever starts a command as its peak.
        maker = multiprocessing.Process(target=make_caches, args=(cache, grown, layers, size))
        maker.start()
        maker.join()
        assert maker.exitcode == 0
        rounds = [
            {tool: write_all(cache, command) for tool, command in installed().items()}
            for _ in range(repeat)
        ]
    for state in STATES:
        best = {
            tool: min((costs[tool][state] for costs in rounds), key=lambda cost: cost.seconds)
            for tool in installed()
        }
        print(row(f"{layers:,} x {size:,} bytes, {state}", best), flush=True)


def row(name: str, costs: dict[str, Cost]) -> str:
    """Give a line of the table."""
    mine = costs["ours"]
    peers = {tool: cost.seconds for tool, cost in costs.items() if tool != "ours"}
    fastest = min(peers.values(), default=None)
    times = [f"{peers[tool]:.2f}" if tool in peers else "-" for tool in ("rclone", "aws")]
    ratio = f"{mine.seconds / fastest:.2f}" if fastest else "-"
    cells = [f"{mine.seconds:.2f}", f"{mine.mebibytes}", *times, ratio]
    return f"{name:<38}" + "".join(f"{cell:>11}" for cell in cells)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cases", metavar="LAYERS SIZE", type=int, nargs="*", default=DEFAULT)
    parser.add_argument("--repeat", type=int, metavar="N", default=1, help="take the best of N")
    asked = parser.parse_args()
    heads = ["ours (s)", "(MiB)", "rclone (s)", "aws (s)", "to fastest"]
    print(f"{'cache':<38}" + "".join(f"{head:>11}" for head in heads), flush=True)
    for layers, size in zip(asked.cases[::2], asked.cases[1::2], strict=True):
        compare(layers, size, asked.repeat)


if __name__ == "__main__":
    main()
