from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from cli.commands import InProcess
from golden.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PREFIXES = ("AWS_", "BUILDX_", "CACHEXPORT_", "DOCKER_", "XDG_")
_NAMES = ("NO_COLOR", "FORCE_COLOR", "REGISTRY_AUTH_FILE", "SOURCE_DATE_EPOCH", "TERM")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def transcript(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Transcript]:
    """Give an empty one in a folder of its own, with nothing of the machine's settings."""
    for name in list(os.environ):
        known = (*_NAMES, *_PROXIES, *map(str.lower, _PROXIES))
        if name.startswith(_PREFIXES) or name in known:
            monkeypatch.delenv(name)
    folder = tmp_path / "work"
    folder.mkdir()
    for name, value in {
        "HOME": str(tmp_path / "home"),
        "COLUMNS": "80",
        "LINES": "24",
        "LC_ALL": "C.UTF-8",
        "TMPDIR": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": "us-east-1",
        "CACHEXPORT_STORE": "store",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    # Layers that are made of files have their modes.
    umask = os.umask(0o022)
    yield Transcript(InProcess(capsys), folder, monkeypatch)
    os.umask(umask)
