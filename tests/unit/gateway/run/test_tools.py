"""What build tools are told of caches."""

from __future__ import annotations

import os
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cachexport.errors import CachexportError, InvalidInputError
from cachexport.gateway.run.configs import VARIABLE, as_script, with_insecure
from cachexport.gateway.run.plan import plan
from cachexport.gateway.run.tools import recognise
from cachexport.gateway.shelf.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachexport.gateway.run.plan import RunPlan

HOST = "127.0.0.1:5000"
FROM, TO = f"{HOST}/from1:cache", f"{HOST}/to1:cache"
READ, WRITE = f"type=registry,ref={FROM}", f"type=registry,ref={TO},mode=max"
INLINE = "--build-arg=BUILDKIT_INLINE_CACHE=1"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("docker buildx build .", f"docker buildx build --cache-from={READ} --cache-to={WRITE} ."),
        (
            "docker --context x buildx --builder b build -t a .",
            f"docker --context x buildx --builder b build --cache-from={READ} "
            f"--cache-to={WRITE} -t a .",
        ),
        (
            "/usr/bin/docker buildx bake app",
            f"/usr/bin/docker buildx bake '--set=*.cache-from={READ}' "
            f"'--set=*.cache-to={WRITE}' app",
        ),
        ("docker-buildx b .", f"docker-buildx b --cache-from={READ} --cache-to={WRITE} ."),
        (
            "buildx --builder b f",
            f"buildx --builder b f '--set=*.cache-from={READ}' '--set=*.cache-to={WRITE}'",
        ),
        (
            "buildctl --addr unix:///x build --frontend y",
            f"buildctl --addr unix:///x build --import-cache={READ} --export-cache={WRITE} "
            "--frontend y",
        ),
        (
            "buildah --root /x bud .",
            f"buildah --root /x bud --layers --cache-from={HOST}/from1 --cache-to={HOST}/to1 .",
        ),
        (
            "podman build .",
            f"podman build --layers --cache-from={HOST}/from1 --cache-to={HOST}/to1 .",
        ),
        (
            "/kaniko/executor --context .",
            f"/kaniko/executor --cache=true --cache-repo={HOST}/cache "
            f"--insecure-registry={HOST} --context .",
        ),
        (
            "podman --events-backend file build .",
            f"podman --events-backend file build --layers --cache-from={HOST}/from1 "
            f"--cache-to={HOST}/to1 .",
        ),
        ("docker image build .", f"docker image build --cache-from={FROM} {INLINE} --tag={TO} ."),
        (
            "docker builder build .",
            f"docker builder build --cache-from={FROM} {INLINE} --tag={TO} .",
        ),
        ("docker build .", f"docker build --cache-from={FROM} {INLINE} --tag={TO} ."),
    ],
)
def test_a_tool_is_told_of_caches(tmp_path: Path, words: str, wanted: str) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    source, target = (
        f"type=local,src={tmp_path / 'a'}",
        f"type=local,dest={tmp_path / 'b'},mode=max",
    )
    prepared = plan(shlex.split(words), [source], [target], limit=1 << 20)
    adapted = prepared.adapted(HOST)
    assert shown(prepared, adapted.words) == wanted
    prepared.close()


def shown(prepared: RunPlan, words: Sequence[str]) -> str:
    """Give a command line with the repository of kaniko called `cache`: nobody guesses its name."""
    line = shlex.join(words)
    return line.replace(prepared.caches[0].repository, "cache") if prepared.tool.single else line


def test_what_docker_builds_is_pushed_afterwards(tmp_path: Path) -> None:
    target = [f"type=local,dest={tmp_path / 'b'}"]
    for given, after in (
        ("docker -H x build .", [f"docker -H x push --quiet {TO}"]),
        ("docker -H x image build .", [f"docker -H x push --quiet {TO}"]),
        (
            "docker build --tag=app .",
            [f"docker push --quiet {TO}", f"docker image rm {TO}"],
        ),
    ):
        adapted = plan(shlex.split(given), [], target, limit=1).adapted(HOST)
        assert [shlex.join(words) for words in adapted.after] == after
        assert adapted.env == {"DOCKER_BUILDKIT": "1"}


@pytest.mark.parametrize(
    "words",
    [
        "",
        "make",
        "docker run x",
        "podman --events-backend file run build",
        "docker",
        "docker buildx",
        "docker-buildx",
        "buildctl",
        "buildx x",
    ],
)
def test_no_build_tool(words: str) -> None:
    with pytest.raises(InvalidInputError):
        recognise(words.split())


def test_kaniko_pushes_nothing_where_nothing_is_to_be_written(tmp_path: Path) -> None:
    prepared = plan(["executor", "--no-push"], [f"type=local,src={tmp_path}"], [], limit=1)
    wanted = f"executor --cache=true --cache-repo={HOST}/cache --insecure-registry={HOST}"
    adapted = prepared.adapted(HOST)
    assert shown(prepared, adapted.words) == f"{wanted} --no-push-cache --no-push"
    prepared.close()


def test_a_command_without_caches() -> None:
    with pytest.raises(InvalidInputError, match="--cache-from"):
        plan(["docker", "build", "."], [], [], limit=1)


def test_one_registry_has_no_tls_and_the_others_stay(tmp_path: Path) -> None:
    own = tmp_path / "own.conf"
    own.write_text('unqualified-search-registries = ["registry.example"]\n')
    env = {"CONTAINERS_REGISTRIES_CONF": str(own)}
    [path] = with_insecure(HOST, env, tmp_path).values()
    with open(path, "rb") as file:
        found = tomllib.load(file)
    assert found["unqualified-search-registries"] == ["registry.example"]
    assert found["registry"] == [{"location": HOST, "insecure": True}]


@pytest.mark.parametrize("own", ['short-name-mode = "enforcing"', "", None])
def test_a_shell_can_do_the_same(tmp_path: Path, own: str | None) -> None:
    home = tmp_path / "a home"
    home.mkdir()
    env = {"HOME": str(home), "TMPDIR": str(tmp_path), "PATH": os.environ["PATH"]}
    path = tmp_path / "own.conf"
    if own is not None:
        path.write_text(own)
        env[VARIABLE] = str(path)
    [written] = with_insecure(HOST, env, tmp_path).values()
    script = "\n".join([*as_script(HOST, env), f'cat "${VARIABLE}"'])
    done = subprocess.run(["sh", "-c", script], env=env, check=True, capture_output=True, text=True)
    assert done.stdout == Path(written).read_text()


@pytest.mark.parametrize("words", ["buildctl build", "executor --context ."])
def test_a_source_that_is_not_there_is_no_reason_to_fail(
    tmp_path: Path, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = f"type=local,src={tmp_path / 'nowhere'},tag=pr-*"
    prepared = plan(words.split(), [source], [], limit=1)
    assert prepared.caches == ()
    assert shlex.join(prepared.adapted(HOST).words) == words
    assert f"reading nothing from {source}" in caplog.text
    prepared.close()
    with pytest.raises(InvalidInputError):
        plan(words.split(), [f"{source},newest=x"], [], limit=1)


def test_what_was_opened_is_closed_where_the_next_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Shelf] = []
    monkeypatch.setattr(Shelf, "close", lambda shelf: closed.append(shelf))
    with pytest.raises(CachexportError, match="nothing"):
        plan(["buildctl", "build"], [f"type=local,src={tmp_path}"], ["type=nothing"], limit=1)
    assert len(closed) == 1
