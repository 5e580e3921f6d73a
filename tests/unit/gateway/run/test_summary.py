"""What is told of a command that ran behind a gateway."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cachexport import Digest
from cachexport.cli.views.gateway import problems, summary_lines
from cachexport.gateway.http.exchange import Exchange
from cachexport.gateway.run.plan import plan
from cachexport.gateway.run.run import Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from unit.gateway.conftest import Gateway


def summary(*heard: tuple[str, str, int, dict[str, Any]]) -> Summary:
    found = Summary()
    for method, kind, status, more in heard:
        known = {"method": method, "path": "", "client": "", "agent": "", "repository": "to1"}
        found.count(Exchange(**{**known, "kind": kind, "status": status, **more}))
    return found


def tag(method: str, repository: str, item: str, digest: str) -> tuple[str, str, int, Any]:
    status = 201 if method == "PUT" else 200
    return method, "manifests", status, {"repository": repository, "item": item, "digest": digest}


def told(tmp_path: Path, words: str, heard: Iterable[Any], *, target: bool = True) -> list[str]:
    """Give what is told of a command with a source, and with a target if wanted."""
    source, to = f"type=local,src={tmp_path},tag=a", f"type=local,dest={tmp_path},tag=b"
    prepared = plan(words.split(), [source], [to] if target else [], limit=1)
    if prepared.tool.single:  # nobody guesses the name of its repository
        [end] = prepared.caches
        prepared = replace(prepared, caches=(replace(end, repository="cache"),))
    found = list(summary_lines(prepared, summary(*heard)))
    prepared.close()
    return [line.replace(source, "SOURCE").replace(to, "TARGET") for line in found]


def test_manifests() -> None:
    found = summary(
        ("HEAD", "manifests", 404, {"repository": "from1", "error": "there is none"}),
        tag("HEAD", "from2", "cache", "sha256:1"),
        tag("GET", "from3", "sha256:2", "sha256:2"),
        tag("PUT", "to1", "cache", "sha256:6"),
        ("PUT", "manifests", 400, {"repository": "to2", "error": "no manifest"}),
    )
    assert found.found == {"from2": {"cache": "sha256:1"}}
    assert found.written == {"to1": {"cache": "sha256:6"}}
    assert found.failed == ["no manifest"]


def test_blobs() -> None:
    found = summary(
        ("GET", "blobs", 206, {"digest": "sha256:2", "size": 20, "sent": 15}),
        ("GET", "blobs", 206, {"digest": "sha256:2", "size": 20, "sent": 5}),
        ("GET", "blobs", 404, {"digest": "sha256:0", "error": "there is none"}),
        ("HEAD", "blobs", 404, {"digest": "sha256:0", "error": "there is none"}),
        ("HEAD", "blobs", 200, {"digest": "sha256:3", "size": 30}),
        ("POST", "uploads", 201, {"digest": "sha256:4", "size": 40}),
        ("POST", "uploads", 201, {"digest": "sha256:7", "size": 70, "received": 70}),
        ("PUT", "uploads", 201, {"digest": "sha256:5", "size": 50}),
    )
    assert found.pulled == {("to1", "sha256:2"): 20}
    assert found.spared == {("to1", "sha256:3"): 30, ("to1", "sha256:4"): 40}
    assert found.pushed == {("to1", "sha256:5"): 50, ("to1", "sha256:7"): 70}
    assert found.failed == []


def test_a_blob_that_was_pushed_was_not_there_already() -> None:
    blob = {"digest": "sha256:5", "size": 50}
    found = summary(("PUT", "uploads", 201, blob), ("HEAD", "blobs", 200, blob))
    assert found.spared == {}


@pytest.mark.parametrize("method", ["HEAD", "GET", "PUT"])
def test_a_place_that_is_away_is_told_of(method: str) -> None:
    assert summary((method, "blobs", 503, {"error": "it is away"})).failed == ["it is away"]


def test_not_every_blob_is_told_of() -> None:
    away = [("HEAD", "blobs", 503, {"error": f"{n} is away"}) for n in (1, 1, 2, 3, 4, 5)]
    wanted = ["1 is away", "2 is away", "3 is away", "and 2 more requests failed"]
    assert list(problems(summary(*away))) == wanted
    assert list(problems(summary(*away[:4]))) == wanted[:3]


def test_one_tag(tmp_path: Path) -> None:
    build = "docker buildx build ."
    assert told(tmp_path, build, []) == ["read nothing: SOURCE", "wrote nothing: TARGET"]
    read, pushed = tag("HEAD", "from1", "cache", "1"), tag("PUT", "to1", "cache", "2")
    known = tag("HEAD", "to1", "cache", "3")
    assert told(tmp_path, build, [read, known, pushed]) == ["read SOURCE: 1", "wrote TARGET: 2"]
    assert told(tmp_path, build, [known])[1] == "found unchanged TARGET: 3"
    failed = ("PUT", "manifests", 503, {"error": "it is away"})
    assert told(tmp_path, build, [known, failed])[1] == "wrote nothing: TARGET"


def test_a_tag_for_each_step(tmp_path: Path) -> None:
    heard = [tag("GET", "from1", name, name) for name in "abc"]
    heard += [tag("PUT", "to1", name, name) for name in "de"]
    wanted = ["read 3 images: SOURCE", "wrote 2 images: TARGET"]
    assert told(tmp_path, "podman build .", heard) == wanted


def test_one_repository_for_all(tmp_path: Path) -> None:
    heard = [tag("GET", "cache", name, name) for name in "abc"]
    wanted = ["read 3 images", "wrote 0 images: TARGET"]
    assert told(tmp_path, "executor", heard) == wanted
    assert told(tmp_path, "executor", heard, target=False) == ["read 3 images: SOURCE"]


def test_what_is_read_only_is_not_spared(tmp_path: Path) -> None:
    blob = {"digest": "sha256:3", "size": 30}
    asked = ("HEAD", "blobs", 200, {**blob, "repository": "from1"})
    assert len(told(tmp_path, "podman build .", [asked])) == 2
    asked = ("HEAD", "blobs", 200, blob)
    assert told(tmp_path, "podman build .", [asked])[2:] == ["there already: 1 blobs, 30 B"]


def test_bytes_of_a_blob_that_comes_in_parts(start: Callable[..., Gateway]) -> None:
    gateway, raw = start(), b"parts of a blob"
    begun = gateway.ask("POST", "/v2/to1/blobs/uploads/")
    place = gateway.ask("PATCH", begun.headers["Location"], raw[:10]).headers["Location"]
    assert gateway.ask("PUT", f"{place}?digest={Digest.of(raw)}", raw[10:]).status == 201
    gateway.put_blob("to1", b"at once")
    gateway.stop()
    found = Summary()
    for record in gateway.told:
        found.count(record)
    assert sorted(found.pushed.values()) == [7, 15]
