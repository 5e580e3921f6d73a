"""`cachexport run`: who gets in beside the command."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from cli.commands import process

from cachexport.cli.run import _signals_for_the_command

if TYPE_CHECKING:
    from pathlib import Path

# Asks the gateway for what it is told of and for another repository, with the login and without.
PROGRAM = """#!{python}
import http.client, json, os, re, sys
found = re.search(r"(127[.]0[.]0[.]1:[0-9]+)/([a-z0-9/]+)", " ".join(sys.argv))
host, repository = found.groups()
auths = {{}}
for variable in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE"):
    path = os.environ.get(variable)
    if path:
        path = os.path.join(path, "config.json") if variable == "DOCKER_CONFIG" else path
        auths |= json.load(open(path))["auths"]

def status(repository, login):
    connection = http.client.HTTPConnection(host)
    headers = {{"Authorization": "Basic " + login}} if login else {{}}
    connection.request("POST", "/v2/" + repository + "/blobs/uploads/", headers=headers)
    return connection.getresponse().status

login = auths.get(host, {{}}).get("auth")
told = {{"repository": repository, "known": sorted(set(auths) - {{host}}), "config": path}}
told |= {{"without": status(repository, None), "with": status(repository, login)}}
told |= {{"root": status(repository.rpartition("/")[2], None)}}
print(json.dumps(told))
"""


def ran(folder: Path, program: str, *options: str, **env: str) -> dict[str, object]:
    """Run such a program, which has the name of a build tool, and give what it saw."""
    path = folder / program
    path.write_text(PROGRAM.format(python=sys.executable))
    path.chmod(0o755)
    verb = [] if program == "executor" else ["build"]
    to = f"type=local,dest={folder / 'cache'}"
    given = {"HOME": str(folder), "TMPDIR": str(folder), "XDG_RUNTIME_DIR": str(folder), **env}
    done = process("run", "--cache-to", to, *options, "--", str(path), *verb, **given)
    assert done.code == 0, done.err
    assert not list(folder.glob("cachexport-run-*"))
    assert "log in" not in done.err
    seen: dict[str, object] = json.loads(done.out)
    return seen


@pytest.mark.parametrize("program", ["docker", "buildctl", "buildah", "podman"])
def test_only_the_command_gets_in(tmp_path: Path, program: str) -> None:
    config = tmp_path / ".docker" / "config.json"
    config.parent.mkdir()
    config.write_text('{"auths":{"registry.example":{"auth":"eDp5"}}}')
    seen = ran(tmp_path, program)
    assert (seen["without"], seen["with"], seen["root"]) == (401, 202, 401)
    assert (seen["repository"], seen["known"]) == ("to1", ["registry.example"])
    assert config.read_text() == '{"auths":{"registry.example":{"auth":"eDp5"}}}'


@pytest.mark.parametrize(("program", "options"), [("executor", []), ("docker", ["--no-login"])])
def test_a_name_that_nobody_guesses(tmp_path: Path, program: str, options: list[str]) -> None:
    seen = ran(tmp_path, program, *options, DOCKER_CONFIG="", REGISTRY_AUTH_FILE="")
    assert (seen["without"], seen["with"], seen["root"]) == (202, 202, 404)
    assert re.fullmatch("[0-9a-f]{32}/(cache|to1)", str(seen["repository"]))


def test_logins_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    to = f"type=local,dest={tmp_path / 'cache'}"
    done = process("run", "--cache-to", to, "--", "docker", "build", DOCKER_CONFIG=str(tmp_path))
    assert done.code == 2
    assert f"cannot read the logins in {tmp_path / 'config.json'}" in done.err


def test_a_signal_that_comes_before_the_process_is_known() -> None:
    with (
        _signals_for_the_command() as began,
        subprocess.Popen(["sleep", "60"]) as process,
    ):
        signal.raise_signal(signal.SIGTERM)
        began(process)
        assert process.wait(30) == -signal.SIGTERM


def test_a_signal_that_is_ignored_is_ignored_by_the_command() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with _signals_for_the_command() as began:
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            with subprocess.Popen(["sleep", "60"]) as process:
                began(process)
                signal.raise_signal(signal.SIGHUP)
                signal.raise_signal(signal.SIGTERM)
                assert process.wait(30) == -signal.SIGTERM
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_signal_between_two_processes_is_for_the_second() -> None:
    with _signals_for_the_command() as began:
        with subprocess.Popen(["true"]) as process:
            began(process)
        signal.raise_signal(signal.SIGTERM)
        with subprocess.Popen(["sleep", "60"]) as process:
            began(process)
            assert process.wait(30) == -signal.SIGTERM


DOCKER = """#!/bin/sh
case "$*" in *push*) kill -TERM $PPID; exec sleep 60;; esac
"""


def test_a_signal_ends_what_comes_after_the_command(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    done = process(
        "run", "--cache-to", f"type=local,dest={tmp_path / 'x'}", "--", str(docker), "build", "."
    )
    assert done.code == 128 + signal.SIGTERM


BUILDCTL = """#!/bin/sh
for word; do case "$word" in --import-cache=*) ref=${word##*ref=};; esac; done
repository=${ref#*/}
ask="import sys, urllib.request as r; r.urlopen(sys.argv[1])"
PYTHON -c "$ask" "http://${ref%%/*}/v2/${repository%:cache}/manifests/cache" 2>/dev/null &
sleep 1
"""


def test_a_place_that_hangs_does_not_keep_the_command(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as hole:
        buildctl = tmp_path / "buildctl"
        buildctl.write_text(BUILDCTL.replace("PYTHON", sys.executable))
        buildctl.chmod(0o755)
        source = f"type=registry,ref=127.0.0.1:{hole.getsockname()[1]}/cache:x"
        done = process("run", "--no-login", "--cache-from", source, "--", str(buildctl), "build")
        assert done.code == 0
