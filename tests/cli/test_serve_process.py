"""`cachexport serve` as a process: how it ends, and what it tells of strangers."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest
from cli.commands import environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UPLOAD = "POST /v2/a/blobs/uploads/?digest=sha256:{:064} HTTP/1.1\r\nHost: x\r\n"


@contextmanager
def serving(folder: Path, *args: str) -> Iterator[tuple[subprocess.Popen[str], tuple[str, int]]]:
    """Run `serve`, and give the process and where it listens."""
    serve = [sys.executable, "-m", "cachexport", "serve"]
    argv = [*serve, "--store", f"type=local,dest={folder / 'store'}", *args]
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
        client.sendall(
            UPLOAD.format(0).encode() + b"Content-Length: 999999\r\n\r\n" + bytes(300_000)
        )
        while not list((tmp_path / "store").rglob("*.tmp")):
            pass
        process.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(number)
        assert process.wait(20) == -number


def lines_after(folder: Path, sent: bytes, *args: str) -> list[str]:
    """Give what is told on stderr when a client sends this and goes."""
    with serving(folder, *args) as (process, address):
        with closing(socket.create_connection(address, timeout=20)) as client:
            client.sendall(sent)
            assert b" 400 " in client.recv(4096)
        process.terminate()
        assert process.stderr is not None
        return process.stderr.read().splitlines()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", "speaks TLS, and this is plain HTTP"),
        (b"\x00\x01garbage", "sent what is no HTTP"),
        (b"GET /v2/ HTTP/1.1\r\n\x16 : \r\n\r\n", "sent what is no HTTP"),
    ],
)
def test_a_client_that_speaks_no_http(tmp_path: Path, sent: bytes, said: str) -> None:
    [told] = map(json.loads, lines_after(tmp_path, sent, "--log", "json"))
    assert (told["method"], told["status"], told["client"]) == ("", 400, "127.0.0.1")
    assert re.fullmatch(rf"the client at 127\.0\.0\.1:\d+ {said}", told["error"])
    [line] = lines_after(tmp_path, sent)
    assert re.fullmatch(rf"no request 400 0\.000s the client at 127\.0\.0\.1:\d+ {said}", line)
    assert lines_after(tmp_path, sent, "--log", "none") == []


def test_all_that_is_told_in_json(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("sesame")
    tokens.chmod(0o644)
    args = ("--log", "json", "--listen", "0.0.0.0:0", "--token-file", str(tokens))
    first, second, third = map(json.loads, lines_after(tmp_path, b"\0", *args))
    assert (first["level"], str(tokens) in first["message"]) == ("warning", True)
    assert (second["level"], "with a token" in second["message"]) == ("warning", True)
    assert third["status"] == 400


def test_a_log_that_nobody_reads_keeps_nobody_waiting(tmp_path: Path) -> None:
    with serving(tmp_path, "--log", "plain") as (process, address):
        for _ in range(60):  # a pipe holds 64 KiB
            with closing(HTTPConnection(*address, timeout=20)) as client:
                client.request("GET", f"/v2/{'x' * 3000}/manifests/y")
                assert client.getresponse().status == 400
        process.terminate()
        assert process.wait(20) == 0
