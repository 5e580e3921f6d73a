"""How long a cache takes to a registry, beside other clients that are installed.

    python benchmarks/registry.py [LAYERS SIZE]...       default: 24 41943040 600 100

Starts a docker-registry of its own (Debian's package) on a free port, makes a cache of LAYERS
layers of SIZE random bytes, and pushes it cold and, with nothing changed, warm. skopeo is timed
on the same layers in the same run; ratio = ours / skopeo's.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cachexport import (
    CacheChains,
    CacheLink,
    CacheResult,
    Descriptor,
    Digest,
    MemoryContent,
    Remote,
    Timestamp,
    export_cache,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT = [(24, 40 << 20), (600, 100)]
LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = """version: 0.1
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "127.0.0.1:{port}"}}
log: {{level: error, accesslog: {{disabled: true}}}}
"""


def make_cache(folder: Path, layers: int, size: int) -> None:
    """Write a cache whose records stand on each other, with layers that cannot be compressed."""
    chains = CacheChains()
    record = remote = None
    for number in range(layers):
        blob = os.urandom(size)
        desc = Descriptor.of(blob, LAYER)
        content = MemoryContent([blob])
        remote = remote.stack(desc, content) if remote else Remote([desc], content)
        links = [[CacheLink(record)]] if record else []
        made = CacheResult(Timestamp(number), remote)
        record = chains.add(Digest.of(b"%d" % number), links, [made])
    export_cache(chains, f"type=local,dest={folder}")


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """Run a registry and give its host."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = folder / "config.yml"
    config.write_text(CONFIG.format(root=folder / "data", port=port))
    command = ["docker-registry", "serve", str(config)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            while True:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.01)
            yield f"127.0.0.1:{port}"
        finally:
            server.kill()


def timed(command: list[str]) -> tuple[float, int]:
    """Run a command and give seconds and peak memory in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    problem = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command}: {problem.decode()}")
    return seconds, usage.ru_maxrss // 1024


def ours(cache: Path, ref: str) -> list[str]:
    """Give our command."""
    source, target = f"type=local,src={cache}", f"type=registry,ref={ref}"
    command = [sys.executable, "-m", "cachexport", "export", "--progress", "quiet"]
    return [*command, "--cache-from", source, "--cache-to", target]


def skopeo(cache: Path, ref: str) -> list[str]:
    """Give skopeo's command."""
    flags = ["--dest-tls-verify=false", "--insecure-policy"]
    return ["skopeo", "copy", *flags, f"oci:{cache}:latest", f"docker://{ref}"]


def compare(layers: int, size: int) -> None:
    """Print two lines: cold and warm."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cache = folder / "cache"
        # In a process of its own: Linux counts the memory of whoever starts a command as its peak.
        maker = multiprocessing.Process(target=make_cache, args=(cache, layers, size))
        maker.start()
        maker.join()
        assert maker.exitcode == 0
        for state in ("cold", "warm"):
            figures = {}
            for tool, command in (("ours", ours), ("skopeo", skopeo)):
                if tool == "skopeo" and shutil.which("skopeo") is None:
                    continue
                (folder / tool).mkdir(exist_ok=True)
                with registry(folder / tool) as host:
                    figures[tool] = timed(command(cache, f"{host}/bench/cache:x"))
            row(f"{layers:,} x {size:,} bytes, {state}", figures)


def row(name: str, figures: dict[str, tuple[float, int]]) -> None:
    """Print a line of the table."""
    seconds, memory = figures["ours"]
    other = figures.get("skopeo")
    theirs = f"{other[0]:>10.2f} {seconds / other[0]:>7.2f}" if other else f"{'-':>10} {'-':>7}"
    print(f"{name:<34} {seconds:>9.2f} {memory:>11} {theirs}")


def main() -> None:
    """Print the table."""
    numbers = [int(word) for word in sys.argv[1:]]
    cases = list(zip(numbers[::2], numbers[1::2], strict=True)) or DEFAULT
    print(f"{'cache':<34} {'ours (s)':>9} {'ours (MiB)':>11} {'skopeo (s)':>10} {'ratio':>7}")
    for layers, size in cases:
        compare(layers, size)


if __name__ == "__main__":
    main()
