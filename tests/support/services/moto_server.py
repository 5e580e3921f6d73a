"""moto, which answers with more of S3's errors than a real server can be brought to.

It believes every signature, so nothing about safety is proven with it.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cachexport.testing.services import answers, free_port, running
from support.services.s3 import S3, AccessKey, connected

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHARED = "shared"


@contextmanager
def running_moto(folder: Path) -> Iterator[S3]:
    """Run it as a process: within ours, it would change botocore for every test.

    Its three access keys are one.
    """
    port = free_port()
    endpoint, key = f"http://127.0.0.1:{port}", AccessKey.fresh()
    argv = [sys.executable, "-m", "moto.server", "--host=127.0.0.1", f"--port={port}"]
    with (
        running(argv, folder / "moto.log", lambda _: answers(port)),
        connected(endpoint, key) as client,
    ):
        client.create_bucket(Bucket=SHARED)
        yield S3(endpoint, SHARED, key, key, key, client)
