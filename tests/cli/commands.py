"""Running the command, as a process and in this one, and backends that fail on demand."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cachexport.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pytest

    from cachexport.contract.backend import Source, Target
    from cachexport.contract.spec import Spec

Run = "Callable[..., Ran]"


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("cachexport: error: ")]


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **extra}


def process(*args: str, python: tuple[str, ...] = (), **extra: str) -> Ran:
    """Run `python -m cachexport`, the real thing."""
    done = subprocess.run(
        [sys.executable, *python, "-m", "cachexport", *args],
        capture_output=True,
        text=True,
        env=environment(**extra),
        timeout=120,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


class InProcess:
    """Runs the command in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *args: str) -> Ran:
        self._capsys.readouterr()
        code = main(args)
        captured = self._capsys.readouterr()
        return Ran(code, captured.out, captured.err)


@dataclass
class FakeBackend:
    """A backend whose two doors are given functions."""

    source_of: Callable[[Spec], Source] | None = None
    target_of: Callable[[Spec], Target] | None = None

    def load(self) -> Any:
        return self

    def source(self, spec: Spec) -> Any:
        assert self.source_of is not None
        return self.source_of(spec)

    def target(self, spec: Spec) -> Any:
        assert self.target_of is not None
        return self.target_of(spec)


def install(patch: pytest.MonkeyPatch, backends: Mapping[str, FakeBackend]) -> None:
    """Let these backends be installed beside the real ones."""
    from cachexport.contract import discovery as plugins

    together = {**plugins.installed_backends(), **backends}
    patch.setattr(plugins, "installed_backends", lambda: together)


def local(path: object, way: str = "src", **attrs: object) -> str:
    return ",".join(["type=local", f"{way}={path}", *(f"{k}={v}" for k, v in attrs.items())])
