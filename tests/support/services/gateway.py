"""A gateway of ours, as `cachexport serve` runs it."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import urllib3

from cachexport.testing.services.ports import answers, free_port
from cachexport.testing.services.process import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Served:
    """A gateway that runs; `log` is what it told of requests."""

    host: str
    pid: int
    log: Path

    def ask(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> urllib3.BaseHTTPResponse:
        """Send a request whose path goes as it is; a `_` in a header's name stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"http://{self.host}{path}"
        return urllib3.request(
            method, url, body=body, headers=named, retries=False, redirect=False, timeout=60
        )

    def records(self) -> list[dict[str, Any]]:
        """Give what was told of requests."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@contextmanager
def running_gateway(folder: Path, *args: str) -> Iterator[Served]:
    """Run `cachexport serve` with these arguments and a port of its own; logs lie in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), folder / "gateway.log"
    argv = [sys.executable, "-m", "cachexport", "serve", "--listen", f"127.0.0.1:{port}"]
    argv += ["--log", "json", "--spool", str(folder / "spool"), *args]
    with running(argv, log, lambda pid: answers(port)) as pid:
        yield Served(f"127.0.0.1:{port}", pid, log)
