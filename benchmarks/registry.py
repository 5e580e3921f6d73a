"""How long a cache takes to a registry, beside other clients that are installed.

    python benchmarks/registry.py [--link MS] [--repeat N] [LAYERS SIZE]...

Starts docker-registry (Debian's package) and pushes a cache of LAYERS layers of SIZE random bytes:
cold, warm (nothing changed) and with one new layer on top. crane and skopeo, where they are on the
PATH, push the same layers in the same run; a ratio is our time by theirs. See link.py for --link.
"""

from __future__ import annotations

import argparse
import multiprocessing
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from costs import Cost, measure
from link import SERVER, Link, slow_link
from peers import installed
from samples import make_caches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEFAULT = [24, 40 << 20, 600, 100]
LISTENS = "0A"  # in /proc/net/tcp
CONFIG = """version: 0.1
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "{host}"}}
log: {{level: error, accesslog: {{disabled: true}}}}
"""


@contextmanager
def registry(link: Link | None) -> Iterator[str]:
    """Run a registry that has nothing yet and give its host."""
    with tempfile.TemporaryDirectory() as name, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        host = f"{SERVER if link else '127.0.0.1'}:{port}"
        config = Path(name, "config.yml")
        config.write_text(CONFIG.format(root=Path(name, "data"), host=host))
        command = ["docker-registry", "serve", str(config)]
        if link:
            command = link.within(link.server, command)
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
            try:
                while not listens(server, port):
                    time.sleep(0.01)
                yield host
            finally:
                server.kill()


def listens(server: subprocess.Popen[bytes], port: int) -> bool:
    """Ask the kernel, since not even a connection gets from here to another namespace."""
    if server.poll() is not None:
        raise SystemExit("docker-registry ended")
    sockets = Path(f"/proc/{server.pid}/net/tcp").read_text().splitlines()[1:]
    return any(
        local.endswith(f":{port:04X}") and state == LISTENS
        for _, local, _, state, *_ in map(str.split, sockets)
    )


def push_all(
    states: dict[str, Path], command: Callable[[Path, str], list[str]], link: Link | None
) -> dict[str, Cost]:
    """Push to a new registry, one state after the other."""
    costs = {}
    with registry(link) as host:
        for state, cache in states.items():
            argv = command(cache, f"{host}/bench/cache:x")
            costs[state] = measure(link.within(link.client, argv) if link else argv)
    return costs


def compare(layers: int, size: int, link: Link | None, repeat: int) -> None:
    """Print a line for each state, with each tool's best time."""
    with tempfile.TemporaryDirectory() as name:
        cache, grown = Path(name, "cache"), Path(name, "grown")
        # In a process of its own: Linux counts the memory of whoever starts a command as its peak.
        maker = multiprocessing.Process(target=make_caches, args=(cache, grown, layers, size))
        maker.start()
        maker.join()
        assert maker.exitcode == 0
        states = {"cold": cache, "warm": cache, "one new layer": grown}
        rounds = [
            {tool: push_all(states, command, link) for tool, command in installed().items()}
            for _ in range(repeat)
        ]
    for state in states:
        best = {
            tool: min((costs[tool][state] for costs in rounds), key=lambda cost: cost.seconds)
            for tool in installed()
        }
        print(row(f"{layers:,} x {size:,} bytes, {state}", best), flush=True)


def row(name: str, costs: dict[str, Cost]) -> str:
    """Give a line of the table."""
    peers = {tool: cost.seconds for tool, cost in costs.items() if tool != "ours"}
    mine = costs["ours"]
    against = [min(peers.values(), default=None), peers.get("skopeo")]
    ratios = [f"{mine.seconds / theirs:.2f}" if theirs else "-" for theirs in against]
    times = [f"{peers[tool]:.2f}" if tool in peers else "-" for tool in ("crane", "skopeo")]
    cells = [f"{mine.seconds:.2f}", f"{mine.mebibytes}", *times, *ratios]
    return f"{name:<38}" + "".join(f"{cell:>11}" for cell in cells)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cases", metavar="LAYERS SIZE", type=int, nargs="*", default=DEFAULT)
    parser.add_argument("--link", type=float, metavar="MS", help="through a link this slow one way")
    parser.add_argument("--repeat", type=int, metavar="N", default=1, help="take the best of N")
    return parser.parse_args()


def main() -> None:
    """Print the table."""
    asked = arguments()
    heads = ["ours (s)", "(MiB)", "crane (s)", "skopeo (s)", "to fastest", "to skopeo"]
    with slow_link(asked.link) if asked.link else nullcontext() as link:
        print(f"{'cache':<38}" + "".join(f"{head:>11}" for head in heads), flush=True)
        for layers, size in zip(asked.cases[::2], asked.cases[1::2], strict=True):
            compare(layers, size, link, asked.repeat)


if __name__ == "__main__":
    main()
