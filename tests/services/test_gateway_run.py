"""`cachexport run`: build tools whose caches go where they cannot go themselves."""

from __future__ import annotations

import re
import subprocess
import sys
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from support.services.builds import BuildLog
from support.services.dockerd import CLIENT

from cachexport import load_cache
from cachexport.testing.services import environment, program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.services.dockerd import Dockerd


def ran(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run it as a user whose logins are in a store, which is not there to be asked for ours."""
    config = folder / ".docker" / "config.json"
    config.parent.mkdir(exist_ok=True)
    config.write_text('{"credsStore":"absent"}')
    env = environment({"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)})
    argv = [sys.executable, "-m", "cachexport", "run", *args]
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=100)


def test_docker_build_twice(
    dockerd: Dockerd,
    context: Callable[[str], Path],
    spec: Callable[[str], str],
    kind: str,
    tmp_path: Path,
) -> None:
    cache = spec("app" if kind == "registry" else "team/app")
    caches = ["--cache-from", cache, "--cache-to", cache, "--"]
    docker = [str(CLIENT), "--host", f"unix://{dockerd.socket}", "build", "--progress=plain"]
    build = [*caches, *docker, "--network=none", "--tag=app", str(context("one"))]
    first = ran(tmp_path, *build)
    assert first.returncode == 0, first.stderr
    assert BuildLog.parse(first.stdout + first.stderr).executed
    assert "read nothing" in first.stderr
    assert "wrote type=" in first.stderr
    assert load_cache(cache)
    assert dockerd.run("image", "ls", "--format", "{{.Repository}}").split() == ["app"]
    dockerd.prune_all()
    second = ran(tmp_path, *build)
    log = BuildLog.parse(second.stdout + second.stderr)
    assert log.executed == []
    assert log.cached


def test_a_failed_build_keeps_its_exit_code_and_the_cache(
    dockerd: Dockerd, context: Callable[[str], Path], spec: Callable[[str], str], tmp_path: Path
) -> None:
    docker = [str(CLIENT), "--host", f"unix://{dockerd.socket}", "build", "--file=absent"]
    done = ran(tmp_path, "--cache-to", spec("x"), "--", *docker, str(context("one")))
    assert done.returncode == 1
    assert "wrote nothing" in done.stderr


def test_a_signal_is_for_the_command(tmp_path: Path) -> None:
    builder = tmp_path / "buildctl"
    builder.write_text("#!/bin/sh\ntrap 'echo ended well; exit 7' TERM\necho ready\n")
    with builder.open("a") as script:
        script.write("while :; do sleep 0.05; done\n")
    builder.chmod(0o755)
    argv = [sys.executable, "-m", "cachexport", "run", "--cache-to"]
    argv += [f"type=local,dest={tmp_path / 'x'}", "--", str(builder), "build"]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdout=pipe, stderr=pipe, env=environment(), text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.terminate()
        out, _ = running.communicate(timeout=30)
    assert (out, running.returncode) == ("ended well\n", 7)


@pytest.fixture
def short() -> Iterator[str]:
    """Give a folder whose name is short, for podman refuses a runroot of over 50 characters."""
    with TemporaryDirectory(dir="/tmp", prefix="pod") as folder:
        yield folder


@pytest.mark.parametrize("kind", ["local", "s3"])  # they want many tags, registries' have no slash
@pytest.mark.parametrize("builder", ["buildah", "podman"])
def test_what_pushes_each_step_twice(
    context: Callable[[str], Path],
    spec: Callable[[str], str],
    tmp_path: Path,
    short: str,
    builder: str,
) -> None:
    cache = spec("team/steps")
    folder = context("one")
    said, told = [], []
    for number in range(2):
        storage = [f"--root={tmp_path}/{number}", f"--runroot={short}/run{number}"]
        if builder == "podman":
            storage.append(f"--tmpdir={short}/tmp{number}")
        build = [program(builder), *storage, "--storage-driver=vfs", "build"]
        build += ["--isolation=chroot", "--tag=app", str(folder)]
        done = ran(tmp_path, "--cache-from", cache, "--cache-to", cache, "--", *build)
        assert done.returncode == 0, done.stdout + done.stderr
        said.append((done.stdout + done.stderr).count("Cache pulled from remote"))
        told.append(re.findall(r"(?:read|wrote) (\d+) images", done.stderr))
    assert said[0] == 0
    assert said[1] > 0
    steps = str(said[1])
    assert told == [["0", steps], [steps, "0"]]
