"""How long blobs take through a gateway, beside docker-registry in the same run.

    python benchmarks/gateway.py [--store SPEC] [--blobs N] [--size BYTES] [--repeat N]

Both serve a new directory. The same client pushes blobs of random bytes as docker does (POST,
PATCH, PUT), then as BuildKit does (POST, PUT), four at a time, and pulls them; then 64 clients
push and pull a blob of 4 MiB each at once. A ratio is our time by docker-registry's, the median of
all rounds; memory is the most that the server had.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from registry import CONFIG, listens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

AT_ONCE, CLIENTS, SMALL = 4, 64, 4 << 20
SERVERS = ("docker-registry", "cachexport")


@dataclass(frozen=True)
class Blob:
    """Random bytes in a file."""

    path: Path
    digest: str
    size: int


def blobs(folder: Path, count: int, size: int) -> list[Blob]:
    made = []
    for _ in range(count):
        raw = os.urandom(size)
        digest = hashlib.sha256(raw).hexdigest()
        path = folder / digest
        path.write_bytes(raw)
        made.append(Blob(path, f"sha256:{digest}", size))
    return made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(name: str, folder: Path, store: str) -> Iterator[tuple[str, int]]:
    """Run a server, and give its host and process id."""
    port = free_port()
    host = f"127.0.0.1:{port}"
    if name == "cachexport":
        argv = [sys.executable, "-m", "cachexport", "serve", "--store", store, "--listen", host]
        argv += ["--log", "none", "--spool", str(folder / "spool")]
    else:
        config = folder / "config.yml"
        config.write_text(CONFIG.format(root=folder / "data", host=host))
        argv = ["docker-registry", "serve", str(config)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(argv, stdout=quiet, stderr=quiet) as server:
        try:
            while not listens(server, port):
                time.sleep(0.01)
            yield host, server.pid
        finally:
            server.kill()


def request(
    connection: http.client.HTTPConnection, method: str, path: str, blob: Blob | None = None
) -> str:
    """Send a request, a blob with it, and give the Location of the answer."""
    connection.putrequest(method, path)
    connection.putheader("Content-Length", str(blob.size if blob else 0))
    connection.endheaders()
    if blob:
        with blob.path.open("rb") as file:
            connection.sock.sendfile(file)
    answer = connection.getresponse()
    answer.read()
    if answer.status not in (201, 202):
        raise SystemExit(f"{method} {path}: {answer.status}")
    location = urlsplit(answer.headers["Location"])
    return f"{location.path}?{location.query}"


def push(host: str, blob: Blob, *, in_parts: bool) -> None:
    with closing(http.client.HTTPConnection(host)) as connection:
        place = request(connection, "POST", "/v2/bench/blobs/uploads/")
        if in_parts:
            place = request(connection, "PATCH", place, blob)
        request(connection, "PUT", f"{place}&digest={blob.digest}", None if in_parts else blob)


def pull(host: str, blob: Blob) -> None:
    with closing(http.client.HTTPConnection(host)) as connection:
        connection.request("GET", f"/v2/bench/blobs/{blob.digest}")
        answer = connection.getresponse()
        room = bytearray(1 << 20)
        got = 0
        while count := answer.readinto(room):
            got += count
        if (answer.status, got) != (200, blob.size):
            raise SystemExit(f"{blob.digest}: {answer.status}, {got} bytes")


def timed(work: Callable[[Blob], None], many: list[Blob], threads: int) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, many))
    return time.perf_counter() - began


def peak(pid: int) -> int:
    """Give the most bytes of memory that a process had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith("VmHWM")]
    return int(line.split()[1]) << 10


def measure(name: str, large: list[Blob], small: list[Blob], store: str) -> dict[str, float]:
    took = {}
    for way in ("docker", "BuildKit"):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            spec = store or f"type=local,dest={folder / 'store'}"
            with serving(name, folder, spec) as (host, pid):
                in_parts = way == "docker"
                send = lambda blob, host=host, p=in_parts: push(host, blob, in_parts=p)  # noqa: E731
                fetch = lambda blob, host=host: pull(host, blob)  # noqa: E731
                took[f"push as {way}"] = timed(send, large, AT_ONCE)
                took[f"pull after {way}"] = timed(fetch, large, AT_ONCE)
                if in_parts:
                    took[f"push, {CLIENTS} clients"] = timed(send, small, CLIENTS)
                    took[f"pull, {CLIENTS} clients"] = timed(fetch, small, CLIENTS)
                    took["memory"] = peak(pid) / (1 << 20)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", default="", help="serve this instead of a new directory")
    parser.add_argument("--blobs", type=int, default=24)
    parser.add_argument("--size", type=int, default=40 << 20)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        large = blobs(Path(temporary), args.blobs, args.size)
        small = blobs(Path(temporary), CLIENTS, SMALL)
        rounds = [
            {name: measure(name, large, small, args.store) for name in SERVERS}
            for _ in range(args.repeat)
        ]
    for step in rounds[0]["cachexport"]:
        theirs, ours = (statistics.median(each[name][step] for each in rounds) for name in SERVERS)
        unit = "MiB" if step == "memory" else "s"
        print(f"{step:20} {theirs:8.2f} {ours:8.2f} {unit:3} ratio {ours / theirs:.2f}", flush=True)


if __name__ == "__main__":
    main()
