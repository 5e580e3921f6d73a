"""What the suites do not ask for, on the same real places."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import fsspec
import pytest
from cachexport_fsspec.backend import backend
from cachexport_fsspec.client import FilesClient
from cachexport_fsspec.files import Files
from fsspec.implementations.memory import MemoryFileSystem
from places import Endless, Server, attrs_of, client_of

from cachexport import copy_cache, export_cache, load_cache
from cachexport.errors import Auth, BackendError, CachexportError, NotFound
from cachexport.plugin import ABSENT, Outcome, Spec
from cachexport.testing import layout_files, real_cache, small_chains

MIB = 1 << 20
PLACES = ["files", "memory", "sftp", "gcs"]


@pytest.fixture(params=PLACES)
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cachexport", *argv]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("form", ["image-manifest=false", "oci-mediatypes=false"])
def test_every_form_survives(server: Server, tmp_path: Path, form: str) -> None:
    start, there = f"type=local,dest={tmp_path / 'start'},{form}", server.spec(server.fresh())
    copy_cache([real_cache("max")], [start])
    copy_cache([f"type=local,src={tmp_path / 'start'}"], [there])
    copy_cache([there], [f"type=local,dest={tmp_path / 'end'}"])
    assert layout_files(tmp_path / "end") == layout_files(tmp_path / "start")


def test_a_large_blob_is_never_in_memory(server: Server) -> None:
    if server.url.startswith("memory:"):
        pytest.skip("there it is all in memory")
    size = 96 * MIB
    with closing(client_of(server, server.fresh())) as client:
        client.write("blobs/warm", Endless(2 * MIB), 2 * MIB)
        client.read("blobs/warm").close()
        tracemalloc.start()
        client.write("blobs/large", Endless(size), size)
        _, peak_up = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        with closing(client.read("blobs/large")) as reader:
            read = sum(len(block) for block in iter(lambda: reader.read(MIB), b""))
        _, peak_down = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert read == size
    assert peak_up < 40 * MIB
    assert peak_down < 40 * MIB


def test_a_process_that_was_forked_does_not_hang(server: Server) -> None:
    """It has not the thread in which its parent's connection runs."""
    with closing(client_of(server, server.fresh())) as client:
        client.replace("manifests/main", b"some", {}, version=ABSENT)
        child = os.fork()
        if not child:
            signal.alarm(30)
            os._exit(0 if client.load("manifests/main")[0] == b"some" else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert client.load("manifests/main")[0] == b"some"


def test_a_client_is_good_again_after_it_was_closed(server: Server) -> None:
    client = client_of(server, server.fresh())
    for raw in (b"one", b"two"):
        client.replace("manifests/main", raw, {}, version=None)
        client.close()
    with closing(client):
        assert client.load("manifests/main")[0] == b"two"


def test_doctor_finds_nothing_that_fails(server: Server) -> None:
    url = server.fresh()
    done = run("doctor", "--format", "json", server.spec(url))
    found = {each["name"]: each for each in json.loads(done.stdout)["checks"]}
    assert done.returncode == 0, done.stdout
    outcomes = {name: each["outcome"] for name, each in found.items()}
    assert "failed" not in outcomes.values(), done.stdout
    assert (outcomes["touch"], outcomes["clean-up"]) == ("ok", "ok")
    if not server.url.startswith("sftp:"):
        assert outcomes["race"] == "ok"
    if not server.url.startswith("memory:"):
        with closing(client_of(server, url)) as client:
            assert client.list_page("").objects == ()


def test_doctor_says_that_nothing_can_be_pruned(
    files: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cachexport_fsspec.kinds.kind_of", lambda url: Files)
    given = dict(word.split("=", 1) for word in files.spec(files.fresh()).split(",")[1:])
    with closing(backend.probe(Spec("fsspec", given))) as probe:
        found = {check.name: check.run() for check in probe.checks()}
    assert {name for name, it in found.items() if it.outcome is Outcome.FAILED} == set()
    assert "prune refuses" in found["touch"].text


def test_merges_of_several_processes_lose_nothing(files: Server, tmp_path: Path) -> None:
    url = files.fresh()
    jobs = []
    for number in range(4):
        export_cache(small_chains(9, number), f"type=local,dest={tmp_path / str(number)}")
        source = f"type=local,src={tmp_path / str(number)}"
        argv = ["export", "--cache-from", source, "--cache-to", files.spec(url, "merge=true")]
        jobs.append(subprocess.Popen([sys.executable, "-m", "cachexport", *argv]))
    assert [job.wait(60) for job in jobs] == [0] * 4
    [cache] = load_cache(files.spec(url))
    assert len(cache.layers) == 5


def test_a_merge_where_others_may_be_lost_warns(
    sftp: Server, caplog: pytest.LogCaptureFixture
) -> None:
    there = sftp.spec(sftp.fresh())
    export_cache(small_chains(1), there)
    assert "no conditional writes" not in caplog.text
    export_cache(small_chains(2), f"{there},merge=true")
    assert caplog.text.count("no conditional writes: who writes last wins") == 1


def test_a_wrong_login_is_refused_and_not_told(sftp: Server) -> None:
    url = sftp.fresh()
    login, _, rest = url.partition("@")
    spec = (
        f"type=fsspec,url={login}:hunter2@{rest},option.known_hosts={sftp.options['known_hosts']}"
    )
    done = run("ls", spec)
    assert done.returncode == Auth.exit_code, done.stderr
    assert "permission denied" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_another_host_than_the_known_one_is_refused(sftp: Server, tmp_path: Path) -> None:
    (tmp_path / "known").write_text("")
    options = {**sftp.options, "known_hosts": str(tmp_path / "known")}
    server = Server(sftp.url, options)
    with (
        closing(client_of(server, sftp.fresh())) as client,
        pytest.raises(Auth, match="host's key"),
    ):
        client.head("manifests/main")


def test_where_nothing_answers_is_told() -> None:
    attrs = attrs_of("type=fsspec,url=sftp://127.0.0.1:1/x,retries=1")
    with closing(FilesClient(attrs, Files)) as client, pytest.raises(BackendError) as raised:
        client.head("manifests/main")
    assert "nothing answers there" in str(raised.value)
    assert raised.value.exhausted  # the one try that `retries=1` allows


def test_a_bucket_that_is_not_there_is_not_found(gcs: Server) -> None:
    with closing(client_of(gcs, "gs://tests-nowhere/team")) as client:
        for ask in (
            lambda: client.list_page("manifests/"),
            lambda: client.head("manifests/main"),
            lambda: client.replace("manifests/main", b"", {}, version=None),
            lambda: client.write("blobs/x", Endless(1), 1),
        ):
            with pytest.raises(NotFound, match="tests-nowhere"):
                ask()


class Failing(MemoryFileSystem):
    """Cannot list one of its folders, as where somebody may not look into it."""

    protocol = "failing"

    def ls(self, path: str, detail: bool = True, **more: Any) -> Any:
        if path.endswith("closed%"):
            raise PermissionError(path)
        return super().ls(path, detail, **more)

    @classmethod
    def _strip_protocol(cls, path: str) -> Any:
        return super()._strip_protocol(path.removeprefix("failing://"))


def test_a_folder_that_cannot_be_listed_is_not_passed_over() -> None:
    fsspec.register_implementation("failing", Failing, clobber=True)
    with closing(FilesClient(attrs_of("type=fsspec,url=failing://x"), Files)) as client:
        client.replace("manifests/open/1", b"{}", {}, version=None)
        client.replace("manifests/closed/1", b"{}", {}, version=None)
        assert [it.key for it in client.list_page("manifests/open/").objects] == [
            "manifests/open/1"
        ]
        with pytest.raises(CachexportError, match="permission denied"):
            client.list_page("manifests/")


def test_what_is_beside_another_version_does_not_count(files: Server) -> None:
    with closing(client_of(files, files.fresh())) as client:
        client.replace("manifests/main", b"one", {"a": "b"}, version=None)
        path = client._path("manifests/main")
        with open(path, "wb") as file:
            file.write(b"two")
        assert client.load("manifests/main")[1].metadata == {}
        with open(path, "wb") as file:
            file.write(b"one")
        assert client.load("manifests/main")[1].metadata == {"a": "b"}
        client.replace("manifests/main", b"one", {}, version=None)
        assert client.load("manifests/main")[1].metadata == {}


def test_nothing_is_left_of_what_was_deleted(files: Server, tmp_path: Path) -> None:
    with closing(client_of(files, files.fresh())) as client:
        client.replace("manifests/a/b", b"one", {"a": "b"}, version=None)
        client.write("blobs/x", Endless(10), 10)
        client.delete_all(["manifests/a/b", "blobs/x"])
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert set(left) <= {".lock"}


def test_connections_end_with_the_client(sftp: Server) -> None:
    port = urlsplit(sftp.url).port or 0

    def connections() -> int:
        rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(row[2].endswith(f":{port:04X}") and row[3] == "01" for row in rows)

    before = connections()
    client = client_of(sftp, sftp.fresh())
    client.list_page("")
    assert connections() == before + 1
    client.close()
    deadline = time.monotonic() + 10
    while connections() > before:
        assert time.monotonic() < deadline
        Event().wait(0.05)


def test_a_folder_that_leads_nowhere_is_not_empty(tmp_path: Path) -> None:
    """As of a disk that is not mounted: pruned by such a look, all would go."""
    (tmp_path / "manifests").symlink_to("gone")
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "x").symlink_to("gone")
    with closing(client_of(Server("file://", {}), f"file://{tmp_path}")) as client:
        for folder in ("manifests/", "blobs/"):
            with pytest.raises(CachexportError):
                client.list_page(folder)
