"""A gateway of ours, as `cachexport serve` runs it."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import urllib3

from cachexport.testing.services import answers, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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
        return [told for told in self._told() if "method" in told]

    def messages(self) -> list[tuple[str, str]]:
        """Give what was told beside that: how serious it is, and the text."""
        return [(told["level"], told["message"]) for told in self._told() if "level" in told]

    def _told(self) -> list[dict[str, Any]]:
        # The last line may just be written.
        lines = self.log.read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith("{")]


@contextmanager
def running_gateway(
    folder: Path, *args: str, python: Sequence[str] = ("-m", "cachexport")
) -> Iterator[Served]:
    """Run `cachexport serve` with these arguments and a port of its own; logs lie in `folder`.

    `python` is what Python is told to run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), folder / "gateway.log"
    argv = [sys.executable, *python, "serve", "--listen", f"127.0.0.1:{port}"]
    argv += ["--log", "json", "--spool", str(folder / "spool"), *args]
    with running(argv, log, lambda pid: answers(port)) as pid:
        yield Served(f"127.0.0.1:{port}", pid, log)
