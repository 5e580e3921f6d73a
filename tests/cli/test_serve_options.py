"""`cachexport serve` as a process: what each of its options does to requests."""

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from cli.commands import local
from support import caches
from support.services.gateway import running_gateway

from cachexport import Digest, copy_cache, load_cache
from cachexport.testing.services import free_port, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.services.gateway import Served

NAMES = ["max", "multi-amd64", "multi-arm64"]
MANIFESTS = {Digest.of(caches.raw_manifest(name)): name for name in NAMES}
# Looks for uploads that wait for too long more often than every five seconds.
OFTEN = """
import sys
from cachexport.cli import main
from cachexport.gateway.http import server
server._EXPIRING = 0.05
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


@pytest.fixture
def serve(tmp_path: Path, place: Path) -> Callable[..., Any]:
    """Give what runs a gateway over `place`."""
    return lambda *args, **how: running_gateway(
        tmp_path / "gateway", "--store", local(place, "dest"), *args, **how
    )


def put(folder: Path, tag: str, name: str = "max") -> str:
    """Write a cache that a build made, and give the digest of its manifest."""
    copy_cache([local(caches.FOLDER / name)], [local(folder, "dest", tag=tag)])
    return Digest.of(caches.raw_manifest(name))


def push(gateway: Served, ref: str, name: str = "max") -> None:
    source = local(caches.FOLDER / name)
    copy_cache([source], [f"type=registry,ref={gateway.host}/{ref}"])


def statuses(gateway: Served, *requests: tuple[str, str]) -> list[int]:
    return [gateway.ask(method, f"/v2/{path}").status for method, path in requests]


def upload(gateway: Served) -> int:
    return gateway.ask("POST", "/v2/app/blobs/uploads/").status


def until(holds: Callable[[], bool]) -> None:
    """Wait, as long as a test may take."""
    while not holds():
        time.sleep(0.01)


def test_one_that_is_only_read(serve: Callable[..., Any], place: Path) -> None:
    digest = put(place, "app/main")
    with serve("--read-only", "--allow-delete") as gateway:
        assert statuses(
            gateway,
            ("GET", "app/manifests/main"),
            ("GET", f"app/blobs/{digest}"),
            ("POST", "app/blobs/uploads/"),
            ("PUT", "app/manifests/main"),
            ("DELETE", "app/manifests/main"),
            ("DELETE", f"app/manifests/{digest}"),
        ) == [200, 200, 403, 403, 403, 403]


def test_what_may_be_pushed_where(serve: Callable[..., Any], place: Path) -> None:
    digest = put(place, "app/main")
    with serve("--allow-push", "team/*", "--allow-push", "app:pr-*") as gateway:
        push(gateway, "app:pr-1")
        push(gateway, "team/any:tag")
        assert statuses(
            gateway,
            ("GET", "app/manifests/pr-1"),
            ("POST", "other/blobs/uploads/"),
            ("PUT", "app/manifests/main"),
            ("PUT", "other/manifests/pr-1"),
            # Nothing is deleted without --allow-delete, wherever one may push.
            ("DELETE", "app/manifests/pr-1"),
            ("DELETE", f"team/any/manifests/{digest}"),
            ("GET", "app/manifests/pr-1"),
        ) == [200, 403, 403, 403, 405, 405, 200]


def test_a_digest_is_taken_away_where_all_its_tags_may_be(
    serve: Callable[..., Any], place: Path
) -> None:
    both = put(place, "app/main")
    put(place, "app/pr-1")
    own = put(place, "app/pr-2", "multi-amd64")
    put(place, "app/pr-3", "multi-amd64")
    with serve("--allow-push", "app:pr-*", "--allow-delete") as gateway:

        def tags() -> list[str]:
            return gateway.ask("GET", "/v2/app/tags/list").json()["tags"]  # type: ignore[no-any-return]

        refused = gateway.ask("DELETE", f"/v2/app/manifests/{both}")
        assert (refused.status, "app:main" in refused.json()["errors"][0]["message"]) == (403, True)
        assert tags() == ["main", "pr-1", "pr-2", "pr-3"]
        assert statuses(
            gateway,
            ("DELETE", f"app/manifests/{own}"),
            ("DELETE", "app/manifests/pr-1"),
            ("DELETE", "app/manifests/main"),
        ) == [202, 202, 403]
        assert tags() == ["main"]


def test_what_comes_first_counts(serve: Callable[..., Any], place: Path, tmp_path: Path) -> None:
    places = [place, tmp_path / "first", tmp_path / "second"]
    for number, (folder, name) in enumerate(zip(places, NAMES, strict=True)):
        # `in-0` is in all of them, `in-2` in the last one only; everywhere it is another cache.
        for tag in range(number + 1):
            put(folder, f"app/in-{tag}", name)
    upstream = [word for folder in places[1:] for word in ("--upstream", local(folder))]
    with serve(*upstream) as gateway:
        for tag, name in enumerate(NAMES):
            raw = gateway.ask("GET", f"/v2/app/manifests/in-{tag}").data
            assert MANIFESTS.get(Digest.of(raw)) == name
        while len(found := {one["item"]: one["origin"] for one in gateway.records()}) < len(NAMES):
            pass  # a request is told of after its answer
        assert [found[f"in-{tag}"] for tag in range(3)] == [str(folder) for folder in places]


def test_the_forms_that_are_wanted(serve: Callable[..., Any], place: Path) -> None:
    for tag in ("app/main", "old/app/main"):
        put(place, tag)
    with serve("--form", "oci-index", "--form", "old/*=docker-list") as gateway:
        found = [
            gateway.ask("GET", f"/v2/{repository}/manifests/main").headers["Content-Type"]
            for repository in ("app", "old/app")
        ]
    assert ["image.index" in found[0], "manifest.list" in found[1]] == [True, True]


def test_merging(serve: Callable[..., Any], place: Path) -> None:
    for options, is_merged in ([], False), (["--merge"], True):
        with serve(*options) as gateway:
            for name in ("multi-amd64", "multi-arm64"):
                push(gateway, "app:main", name)
            raw = gateway.ask("GET", "/v2/app/manifests/main").data
            assert (Digest.of(raw) not in MANIFESTS) == is_merged


def test_checking_blobs(serve: Callable[..., Any], place: Path) -> None:
    put(place, "app/main")
    [cache] = load_cache(local(place, tag="app/main"))
    digest = cache.layers[0].digest
    blob = place / "blobs" / "sha256" / digest.encoded
    wrong = blob.read_bytes()[::-1]
    blob.chmod(0o644)
    blob.write_bytes(wrong)
    for options, status in ([], 200), (["--verify"], 404):
        with serve(*options) as gateway:
            assert statuses(gateway, ("GET", f"app/blobs/{digest}")) == [status]


def test_limits(serve: Callable[..., Any], place: Path) -> None:
    with serve("--max-config-bytes", "2500", "--max-uploads", "16") as gateway:
        push(gateway, "app:main")
        [cache] = load_cache(local(place, tag="app/main"))
        assert 0 < len(cache.config.encode()) <= 2500
        assert [upload(gateway) for _ in range(18)] == [202] * 16 + [429] * 2


@pytest.mark.parametrize("most", ["1000", "2000"])
def test_the_room_of_the_spool(tmp_path: Path, most: str) -> None:
    # What comes in parts lies there on its way to another registry, which is not even asked.
    store = f"type=registry,ref=127.0.0.1:{free_port()}/cache"
    with running_gateway(tmp_path, "--store", store, "--spool-bytes", most) as gateway:
        for _ in range(2):
            begun = gateway.ask("POST", "/v2/cache/blobs/uploads/").headers["Location"]
            answer = gateway.ask("PATCH", begun, bytes(1000))
        assert answer.status == (503 if most == "1000" else 202)
        assert ("Retry-After" in answer.headers) == (most == "1000")
        assert (tmp_path / "spool").is_dir()


def test_uploads_that_rest_are_forgotten(serve: Callable[..., Any], place: Path) -> None:
    given = ("--max-uploads", "1", "--upload-expiry", "200ms")
    with serve(*given, python=("-c", OFTEN)) as gateway:
        begun = gateway.ask("POST", "/v2/app/blobs/uploads/").headers["Location"]
        gateway.ask("PATCH", begun, b"a part")
        until(lambda: not list(place.rglob("*.tmp")))
        assert gateway.ask("PATCH", begun, b"a part").status == 404
        assert upload(gateway) == 202


@pytest.fixture
def told(serve: Callable[..., Any], place: Path) -> Iterator[Served]:
    """Give a gateway over two names, of which one is no reference."""
    for tag in ("app/main", "No Reference"):
        put(place, tag)
    with serve() as gateway:
        yield gateway


def test_what_is_told(told: Served, place: Path) -> None:
    until(lambda: bool(told.messages()))
    assert told.messages() == [("note", "'No Reference' is no reference, so it is not served")]
    digest = Digest.of(caches.raw_manifest("max"))
    answer = told.ask("GET", "/v2/app/manifests/main", User_Agent="a test")
    missing = told.ask("HEAD", f"/v2/app/blobs/{Digest.of(b'?')}")
    for each in (answer, missing, told.ask("GET", "/v2/")):
        assert each.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    metrics = told.ask("GET", "/metrics").data.decode().splitlines()
    kinds = [("manifests", "GET", 200), ("blobs", "HEAD", 404), ("base", "GET", 200)]
    for kind, method, status in kinds:
        labels = f'kind="{kind}",method="{method}",status="{status}"'
        assert f"cachexport_requests_total{{{labels}}} 1.0" in metrics
    assert f'cachexport_manifests_found_total{{place="{place}"}} 1.0' in metrics
    assert f"cachexport_sent_bytes_total {len(answer.data) + 2}.0" in metrics
    [first, second, *_] = told.records()
    moment, seconds = first.pop("time"), first.pop("seconds")
    assert abs(moment - time.time()) < 60
    assert 0 <= seconds < 60
    assert first == {
        "method": "GET",
        "path": "/v2/app/manifests/main",
        "status": 200,
        "client": "127.0.0.1",
        "agent": "a test",
        "kind": "manifests",
        "repository": "app",
        "item": "main",
        "digest": digest,
        "origin": str(place),
        "size": first["size"],
        "received": 0,
        "sent": len(answer.data),
        "error": "",
    }
    assert (second["status"], second["error"]) == (404, f"there is no blob {Digest.of(b'?')}")


@pytest.mark.parametrize(
    ("options", "what"),
    [([], "read and write these caches WITHOUT"), (["--read-only"], "read these caches WITHOUT")],
)
def test_a_warning_off_loopback(
    serve: Callable[..., Any], tmp_path: Path, options: list[str], what: str
) -> None:
    log = tmp_path / "log"
    argv = [sys.executable, "-m", "cachexport", "serve", "--listen", "0.0.0.0:0", *options]
    argv += ["--store", local(tmp_path / "place", "dest")]
    with running(argv, log, lambda pid: "serving" in log.read_text()):
        text = log.read_text()
    [port] = re.findall(r"serving .* at http://0\.0\.0\.0:(\d+)\n", text)
    warning = f"warning: listening at 0.0.0.0:{port}: others can {what} ANY LOGIN\n"
    assert warning in text


def test_no_warning_on_loopback(told: Served) -> None:
    until(lambda: bool(told.messages()))
    assert "listening" not in told.log.read_text()
