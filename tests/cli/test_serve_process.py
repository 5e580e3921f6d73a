"""`cachexport serve` as a process: how it ends, and what it tells of strangers."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from cli.commands import environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A shell lets what it runs in the background ignore interrupts, perhaps this test too.
SERVE = """
import signal, sys
from cachexport.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main(["serve", *sys.argv[1:]]))
"""
UPLOAD = "POST /v2/a/blobs/uploads/?digest=sha256:{:064} HTTP/1.1\r\nHost: x\r\n"


@contextmanager
def serving(folder: Path, *args: str) -> Iterator[tuple[subprocess.Popen[str], tuple[str, int]]]:
    """Run `serve`, and give the process and where it listens."""
    argv = [sys.executable, "-c", SERVE, "--store", f"type=local,dest={folder / 'store'}", *args]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True, env=environment()) as process:
        try:
            assert process.stdout is not None
            host, _, port = process.stdout.readline().strip().rpartition("/")[2].partition(":")
            yield process, (host, int(port))
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_ends_it_is_no_failure(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path) as (process, _):
        process.send_signal(number)
        assert process.wait(20) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -15)])
def test_a_second_signal_ends_it_at_once(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with (
        serving(tmp_path) as (process, address),
        closing(socket.create_connection(address)) as client,
    ):
        client.sendall(UPLOAD.format(0).encode() + b"Content-Length: 9\r\n\r\nx")
        while not list((tmp_path / "store").rglob("*.tmp")):
            pass
        process.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(number)
        assert process.wait(20) == -number
