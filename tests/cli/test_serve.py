"""`cachexport serve` and `run`, as far as nothing is served."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cachexport.errors import MissingExtra
from cachexport.gateway.composing import open_shelf
from cachexport.gateway.http.server import address, bind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any


WITHOUT = """
import sys
sys.modules["uvicorn"] = None
from cachexport.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "command",
    [
        "serve --store type=local,dest=x",
        "run --cache-to type=local,dest=x -- docker buildx build .",
    ],
)
def test_without_the_extra(tmp_path: Path, command: str) -> None:
    argv = [sys.executable, "-c", WITHOUT, *command.split()]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == MissingExtra.exit_code
    assert "a gateway needs uvicorn; install cachexport[serve]" in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--read-only", "--allow-push", "x"], "contradict"),
        (["--listen", "nowhere"], "host:port"),
        (["--listen", "127.0.0.1:99999"], "host:port"),
        (["--listen", "192.0.2.1:0"], "cannot listen"),
        (["--form", "tar"], "no form"),
        (["--tls-key", __file__], "--tls-key wants the certificate too"),
    ],
)
def test_what_cannot_be(
    run: Callable[..., Any], tmp_path: Path, args: list[str], said: str
) -> None:
    done = run("serve", "--store", f"type=local,dest={tmp_path}", *args)
    assert done.code != 0
    assert said in done.err


def test_a_command_that_is_no_build(run: Callable[..., Any], tmp_path: Path) -> None:
    done = run("run", "--cache-to", f"type=local,dest={tmp_path}", "--", "make", "-j")
    assert (done.code, "no build tool" in done.err) == (2, True)


@pytest.mark.parametrize("program", ["/nowhere/buildctl", "nowhere/buildctl", "kaniko"])
def test_a_command_that_is_not_there(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run("run", "--cache-to", f"type=local,dest={tmp_path}", "--", program, "build")
    where = "there is no such file" if "/" in program else "it is in no directory of PATH"
    assert (done.code, done.errors) == (
        127,
        [f"cachexport: error: cannot run {program}: {where}"],
    )


def test_a_command_that_cannot_be_executed(run: Callable[..., Any], tmp_path: Path) -> None:
    program = tmp_path / "buildctl"
    program.write_text("no program")
    for mode, said in ((0o644, "Permission denied"), (0o755, "Exec format error")):
        program.chmod(mode)
        cache = f"type=local,dest={tmp_path / 'x'}"
        done = run("run", "--cache-to", cache, "--", str(program), "build")
        assert done.code == 126
        assert done.errors == [f"cachexport: error: cannot run {program}: {said}"]


@pytest.mark.parametrize(
    ("listen", "host"), [("127.0.0.1:0", "127.0.0.1:PORT"), ("127.0.0.1:5000", "127.0.0.1:5000")]
)
def test_the_command_is_shown_with_what_it_needs(
    run: Callable[..., Any], tmp_path: Path, listen: str, host: str
) -> None:
    given = ["--cache-to", f"type=local,dest={tmp_path}", "--listen", listen, "--print", "--"]
    shown = run("run", *given, "podman", "build", ".").out.splitlines()
    assert shown[-1] == f"podman build --layers --cache-to={host}/to1 ."
    assert shown[0].startswith("export CONTAINERS_REGISTRIES_CONF=")
    assert f'location = "{host}"' in shown
    shown = run("run", *given, "buildctl", "build").out
    assert shown == f"buildctl build --export-cache=type=registry,ref={host}/to1:cache\n"


def test_an_address() -> None:
    with bind("127.0.0.1:0") as bound:
        assert address(bound).startswith("127.0.0.1:")


def test_merging_is_an_attribute_of_the_store(tmp_path: Path) -> None:
    shelf = open_shelf(f"type=local,dest={tmp_path}", merge=True)
    assert shelf.place.target("x").attrs["merge"] == "true"
