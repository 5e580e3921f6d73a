"""A gateway whose process is killed, whose store is away, or whose clients are strangers."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import urllib3
from support import caches
from support.services.dockerd import DockerFailed
from support.services.gateway import running_gateway
from support.services.sockets import is_read

from cachexport import Digest, list_names, load_cache
from cachexport.errors import NotFound
from cachexport.testing.services import answers, free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.services.dockerd import Dockerd
    from support.services.gateway import Served
    from support.services.tls import Authority

RAW = os.urandom(3_000_000)
DIGEST = Digest.of(RAW)


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, places: Callable[[str], Callable[[str], str]]) -> str:
    """Give a directory, or a part of a bucket."""
    return places(str(request.param))("it")


def begin(gateway: Served) -> str:
    return gateway.ask("POST", "/v2/team/app/blobs/uploads/").headers["Location"]


def send_some(gateway: Served, place: str, method: str) -> socket.socket:
    """Begin to send a blob, and send no more than a part of it."""
    host, _, port = gateway.host.partition(":")
    connection = socket.create_connection((host, int(port)))
    query = f"?digest={DIGEST}" if method == "PUT" else ""
    head = f"{method} {place}{query} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(RAW)}\r\n\r\n"
    connection.sendall(head.encode() + RAW[:2_000_000])
    return connection


def push_blobs(gateway: Served, *, but: int = 0) -> None:
    """Push what a cache consists of, but for so many of its blobs and its manifest."""
    paths = sorted((caches.FOLDER / "max" / "blobs" / "sha256").iterdir())
    for path in paths[but:]:
        place = f"/v2/team/app/blobs/uploads/?digest=sha256:{path.name}"
        assert gateway.ask("POST", place, path.read_bytes()).status == 201


def send_manifest(gateway: Served) -> socket.socket:
    """Ask for a name for it, and wait for no answer."""
    host, _, port = gateway.host.partition(":")
    connection = socket.create_connection((host, int(port)))
    raw = caches.raw_manifest("max")
    head = f"PUT /v2/team/app/manifests/main HTTP/1.1\r\nHost: x\r\nContent-Length: {len(raw)}"
    connection.sendall(f"{head}\r\n\r\n".encode() + raw)
    return connection


def check_max(gateway: Served) -> None:
    """See that all of the cache is there."""
    [cache] = load_cache(f"type=registry,ref={gateway.host}/team/app:main")
    assert cache.layers
    for layer in cache.layers:
        got = gateway.ask("GET", f"/v2/team/app/blobs/{layer.digest}")
        assert Digest.of(got.data) == layer.digest


def until(holds: Callable[[], bool]) -> None:
    """Wait, as long as a test may take."""
    while not holds():
        time.sleep(0.001)


def names(store: str) -> list[str]:
    try:
        return [found.name for found in list_names(store)]
    except NotFound:
        return []


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_what_was_begun_when_the_gateway_was_killed_is_gone(
    store: str, tmp_path: Path, method: str
) -> None:
    folder = tmp_path / "gateway"
    with (
        running_gateway(folder, "--store", store) as gateway,
        closing(send_some(gateway, begin(gateway), method)) as connection,
    ):
        until(lambda: is_read(connection))
        if "type=local" in store:
            until(lambda: bool(list((tmp_path / "place").rglob("*.tmp"))))
        os.kill(gateway.pid, signal.SIGKILL)
    assert names(store) == []
    with running_gateway(folder, "--store", store) as gateway:
        assert gateway.ask("HEAD", f"/v2/team/app/blobs/{DIGEST}").status == 404
        begin_and_put = gateway.ask("PUT", f"{begin(gateway)}?digest={DIGEST}", RAW)
        assert begin_and_put.status == 201
    assert not list(tmp_path.rglob("*.tmp"))
    assert not [path for path in (folder / "spool").rglob("*") if path.is_file()]


@pytest.mark.parametrize("moment", ["before", "while", "after"])
def test_a_cache_is_whole_or_not_there_when_the_gateway_is_killed(
    store: str, tmp_path: Path, moment: str
) -> None:
    """Kill it before the name is asked for, while it is written, and as soon as it can be seen."""
    folder, name = tmp_path / "gateway", ["team/app/main"]
    with running_gateway(folder, "--store", store) as gateway:
        push_blobs(gateway, but=moment == "before")
        if moment != "before":
            with closing(send_manifest(gateway)) as connection:
                until(lambda: is_read(connection) if moment == "while" else names(store) == name)
                os.kill(gateway.pid, signal.SIGKILL)
        else:
            os.kill(gateway.pid, signal.SIGKILL)
    found = names(store)
    assert found in {"before": [[]], "while": [[], name], "after": [name]}[moment]
    with running_gateway(folder, "--store", store) as gateway:
        if found:
            check_max(gateway)
        push_blobs(gateway)
        put = gateway.ask("PUT", "/v2/team/app/manifests/main", caches.raw_manifest("max"))
        assert put.status == 201
        check_max(gateway)


def test_a_store_that_is_away(
    tmp_path: Path, dockerd: Dockerd, context: Callable[[str], Path]
) -> None:
    login = "access_key_id=a,secret_access_key=b,region=us-east-1,retry_max_attempts=1"
    store = f"type=s3,endpoint_url=http://127.0.0.1:{free_port()},bucket=gone,{login}"
    with running_gateway(tmp_path / "gateway", "--store", store) as gateway:
        upload = begin(gateway)
        for method, path, body in (
            ("GET", "/v2/team/app/manifests/main", b""),
            ("HEAD", f"/v2/team/app/blobs/{DIGEST}", b""),
            ("GET", "/v2/team/app/tags/list", b""),
            ("PUT", f"{upload}?digest={DIGEST}", RAW),
            ("PUT", "/v2/team/app/manifests/main", caches.raw_manifest("max")),
        ):
            answer = gateway.ask(method, path, body)
            assert (answer.status, "Retry-After" in answer.headers) == (503, True), path
        assert gateway.ask("GET", "/healthz").status == 200
        cache = f"{gateway.host}/team/app:main"
        assert dockerd.build(context("one"), "again", "--cache-from", cache).executed


def test_a_login_with_docker(
    tmp_path: Path, dockerd: Dockerd, context: Callable[[str], Path]
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("sesame\nlooker read-only\n")
    args = ("--store", f"type=local,dest={tmp_path / 'place'}", "--token-file", str(tokens))
    with running_gateway(tmp_path / "gateway", *args) as gateway:
        ref = f"{gateway.host}/team/app:1"
        dockerd.build(context("one"), ref)
        with pytest.raises(DockerFailed):
            dockerd.push(ref)
        with pytest.raises(DockerFailed):
            dockerd.run("login", "--username=ci", "--password=wrong", gateway.host)
        dockerd.run("login", "--username=ci", "--password=looker", gateway.host)
        with pytest.raises(DockerFailed, match="denied"):
            dockerd.push(ref)
        dockerd.run("login", "--username=ci", "--password=sesame", gateway.host)
        dockerd.push(ref)
        dockerd.prune_all()
        dockerd.pull(ref)
        dockerd.run("logout", gateway.host)


def test_https(tmp_path: Path, authority: Authority) -> None:
    certificate = authority.issue()
    args = ("--tls-cert", str(certificate.chain), "--tls-key", str(certificate.key))
    store = f"type=local,dest={tmp_path / 'place'}"
    with (
        running_gateway(tmp_path / "gateway", "--store", store, *args) as gateway,
        urllib3.PoolManager(ca_certs=str(authority.bundle)) as pool,
    ):
        assert pool.request("GET", f"https://{gateway.host}/v2/").status == 200


def test_a_signal_ends_it_well(tmp_path: Path) -> None:
    store = f"type=local,dest={tmp_path / 'place'}"
    with (
        running_gateway(tmp_path / "gateway", "--store", store) as gateway,
        closing(send_some(gateway, begin(gateway), "PUT")) as connection,
    ):
        connection.settimeout(20)
        while not list((tmp_path / "place").rglob("*.tmp")):
            time.sleep(0.01)
        os.kill(gateway.pid, signal.SIGTERM)
        while gateway.ask("GET", "/healthz").status == 200:
            time.sleep(0.01)
        connection.sendall(RAW[2_000_000:])
        assert b" 201 " in connection.recv(4096)
        while answers(int(gateway.host.partition(":")[2])):
            time.sleep(0.01)
    told = gateway.log.read_text()
    assert f"serving {tmp_path / 'place'} at http://{gateway.host}" in told
    assert "Traceback" not in told


def test_many_clients_at_once(store: str, tmp_path: Path) -> None:
    with running_gateway(tmp_path / "gateway", "--store", store) as gateway:

        def push_and_pull(number: int) -> bool:
            raw = RAW + str(number).encode()
            place = begin(gateway)
            if number % 2:  # as docker does; else as BuildKit does
                assert gateway.ask("PATCH", place, raw).status == 202
            rest = b"" if number % 2 else raw
            assert gateway.ask("PUT", f"{place}?digest={Digest.of(raw)}", rest).status == 201
            return gateway.ask("GET", f"/v2/team/app/blobs/{Digest.of(raw)}").data == raw

        with ThreadPoolExecutor(64) as pool:
            assert all(pool.map(push_and_pull, range(64)))
        status = Path(f"/proc/{gateway.pid}/status").read_text()
    [peak] = re.findall(r"VmHWM:\s+(\d+) kB", status)
    assert int(peak) < 200_000
