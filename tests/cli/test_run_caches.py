"""`cachexport run`: what a command reads and writes through its gateway, and what is told of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, Any

import pytest
from cli.commands import local, process
from support import builder, caches

from cachexport import Digest, list_names, load_cache
from cachexport.contract.units import (
    readable,
)
from cachexport.testing.services import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX = local(caches.FOLDER / "max")
CHANGED = caches.FOLDER / "max-src-changed"
Told = dict[str, Any]


@dataclass(frozen=True)
class Built:
    """A `run` that ended; `told` is what the command said of itself, `calls` how it was called."""

    code: int
    told: Told
    err: list[str]
    calls: list[str]


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Built]:
    """Give what runs such a program, as `docker build` or as another tool."""

    def built(
        command: str, *options: str, layout: Path = CHANGED, exit_code: int = 0, **env: str
    ) -> Built:
        name, *words = command.split()
        log = tmp_path / "log"
        log.write_text("")
        given = {"BUILDER_LOG": str(log), "BUILDER_LAYOUT": str(layout), "HOME": str(tmp_path)}
        given |= {"BUILDER_EXIT": str(exit_code), "DOCKER_CONFIG": "", **env}
        program = builder.install(tmp_path, name)
        done = process("run", *options, "--", program, *words, **given)
        told = json.loads(done.out) if log.read_text() else {"out": done.out}
        return Built(done.code, told, done.err.splitlines(), log.read_text().splitlines())

    return built


def named(folder: Path, name: str) -> str:
    return local(folder, "dest", tag=name)


def read_from(target: str) -> str:
    """Give what reads the cache that this writes."""
    return target.replace("dest=", "src=")


@pytest.fixture
def to(tmp_path: Path) -> str:
    return named(tmp_path / "to", "main")


def sizes(layout: Path) -> dict[str, int]:
    """Give the bytes of all blobs but the manifest."""
    [entry] = json.loads((layout / "index.json").read_text())["manifests"]
    files = (layout / "blobs" / "sha256").iterdir()
    return {path.name: path.stat().st_size for path in files if path.name not in entry["digest"]}


def summed(verb: str, blobs: list[int]) -> str:
    return f"cachexport: note: {verb}: {len(blobs)} blobs, {readable(sum(blobs))}"


def test_what_a_command_reads_and_writes(build: Callable[..., Built], tmp_path: Path) -> None:
    other, to = (named(tmp_path / "to", name) for name in ("other", "main"))
    assert build("buildctl build", "--cache-to", other, layout=caches.FOLDER / "max").code == 0
    done = build("buildctl build", "--cache-from", MAX, "--cache-to", to, exit_code=7)
    assert done.code == 7
    assert done.told["written over sources"] == [403]
    assert done.told["pushed"] == [201]
    [cache] = load_cache(read_from(to))
    assert cache.config == load_cache(local(CHANGED))[0].config
    read, new = sizes(caches.FOLDER / "max"), sizes(CHANGED)
    digests = [Digest.of(caches.raw_manifest(name)) for name in ("max", "max-src-changed")]
    assert done.err[:5] == [
        f"cachexport: note: read {MAX}: {digests[0]}",
        f"cachexport: note: wrote {to}: {digests[1]}",
        summed("pulled", list(read.values())),
        summed("pushed", [size for name, size in new.items() if name not in read]),
        summed("there already", [size for name, size in new.items() if name in read]),
    ]
    [refused] = done.err[5:]
    assert refused.startswith("cachexport: warning: from1 may not be pushed to")


def test_nothing_to_write_to(build: Callable[..., Built]) -> None:
    done = build("buildctl build", "--cache-from", MAX)
    assert (done.code, done.told["written over sources"], done.told["pushed"]) == (0, [403], [])


def test_what_is_shown_is_not_run(build: Callable[..., Built], to: str, tmp_path: Path) -> None:
    done = build("docker build .", "--cache-to", to, "--print")
    assert (done.code, done.calls) == (0, [])
    build_line, push_line = done.told["out"].splitlines()
    docker = quote(str(tmp_path / "docker"))
    assert build_line.startswith(f"DOCKER_BUILDKIT=1 {docker} build --build-arg=")
    assert push_line == f"{docker} push --quiet 127.0.0.1:PORT/to1:cache"
    assert not (tmp_path / "to").exists()


def test_where_it_listens(build: Callable[..., Built], to: str) -> None:
    host = f"127.0.0.1:{free_port()}"
    done = build("buildctl build", "--cache-to", to, "--listen", host)
    assert (done.code, done.told["pushed"]) == (0, [201])
    assert f"ref={host}/to1:cache" in done.calls[0]


def test_a_large_cache_is_compacted(build: Callable[..., Built], to: str) -> None:
    assert build("buildctl build", "--cache-to", to, "--max-config-bytes", "2500").code == 0
    [cache] = load_cache(read_from(to))
    assert 0 < len(cache.config.encode()) <= 2500


@pytest.mark.parametrize(
    ("command", "options", "kind"),
    [
        ("buildctl build", [], "image.manifest"),
        ("buildctl build", ["--form", "docker-list"], "manifest.list"),
        ("docker build", [], "image.index"),
        ("docker build", ["--form", "image-manifest"], "image.manifest"),
    ],
)
def test_the_form_that_a_cache_is_read_in(
    build: Callable[..., Built], command: str, options: list[str], kind: str
) -> None:
    [pulled] = build(command, "--cache-from", MAX, *options).told["pulled"]
    assert kind in pulled


def test_what_its_user_sets_counts(build: Callable[..., Built]) -> None:
    given = ("docker build", "--cache-from", MAX)
    assert build(*given).told["DOCKER_BUILDKIT"] == "1"
    assert build(*given, DOCKER_BUILDKIT="0").told["DOCKER_BUILDKIT"] == "0"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Give the layout of an image with an inline cache."""
    caches.unpack(caches.FOLDER / "inline-image.tar", tmp_path / "image")
    return tmp_path / "image"


def test_of_an_image_its_inline_cache_is_written(
    build: Callable[..., Built], to: str, image: Path
) -> None:
    done = build("docker build --tag app .", "--cache-to", to, layout=image)
    assert done.code == 0
    assert [call.split()[:3] for call in done.calls] == [
        ["docker", "build", "--build-arg=BUILDKIT_INLINE_CACHE=1"],
        ["docker", "push", "--quiet"],
        ["docker", "image", "rm"],
    ]
    # Not the image: what has the name is a cache as others are.
    [cache] = load_cache(read_from(to))
    digest = cache.wrapped.descriptor.digest  # type: ignore[union-attr]
    assert f"cachexport: note: wrote {to}: {digest}" in done.err
    [inline] = load_cache(local(caches.FOLDER / "inline-image.tar"))
    assert {record.digest for record in cache.config.records} <= {
        record.digest for record in inline.config.records
    }


def test_what_failed_is_not_pushed(build: Callable[..., Built], to: str, image: Path) -> None:
    done = build("docker build --tag app .", "--cache-to", to, layout=image, exit_code=3)
    assert (done.code, len(done.calls)) == (3, 1)
    assert f"cachexport: note: wrote nothing: {to}" in done.err


def test_kaniko_reads_what_stands_behind_its_one_repository(
    build: Callable[..., Built], tmp_path: Path, image: Path
) -> None:
    main, own = named(tmp_path / "main", "main"), named(tmp_path / "own", "pr")
    first = build("executor --context .", "--cache-to", main, layout=image)
    assert (first.code, first.told["pulled"], first.told["pushed"]) == (0, [""], [201])
    # What it has no name for in the one place has another name in the other.
    second = build("executor", "--cache-from", read_from(main), "--cache-to", own, layout=image)
    assert (second.code, second.told["pushed"]) == (0, [201])
    assert "manifest" in second.told["pulled"][0]
    assert "cachexport: note: read 1 images" in second.err
    assert [found.name for found in list_names(main)] == [f"main/{builder.STEP}"]
    assert [found.name for found in list_names(own)] == [f"pr/{builder.STEP}"]
