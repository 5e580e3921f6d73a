"""A store of images of its own, and the command that must succeed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.commands import InProcess


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CACHEXPORT_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def image(run: InProcess) -> Callable[..., str]:
    """Run `cachexport image …`, which has to succeed, and give what it answers."""

    def image(*args: str) -> str:
        ran = run("image", *args)
        assert ran.code == 0, ran.err
        return ran.out

    return image
