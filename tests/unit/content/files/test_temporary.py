"""Temporary folders, also of processes that were killed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cachexport.content.files.temporary import temporary_folder

PREFIX = "cachexport-test-"
KILLED = f"""
import os, signal
from cachexport.content.files.temporary import temporary_folder
with temporary_folder({PREFIX!r}) as folder:
    (folder / "secret").write_text("sesame")
    print(folder, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_is_private_and_goes(where: Path) -> None:
    with temporary_folder(PREFIX) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "a").write_text("b")
    assert not list(where.iterdir())


def test_what_a_killed_process_left_goes_and_what_a_living_one_has_stays(where: Path) -> None:
    (where / "cachexport-other").mkdir()
    pipe = subprocess.PIPE
    env = {**os.environ, "TMPDIR": str(where), "PYTHONPATH": os.pathsep.join(sys.path)}
    argv = [sys.executable, "-c", KILLED]
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, env=env, text=True) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        with temporary_folder(PREFIX):
            assert (folder / "secret").exists()
        process.kill()
    assert folder.exists()
    with temporary_folder(PREFIX):
        assert not folder.exists()
    assert [path.name for path in where.iterdir()] == ["cachexport-other"]


def test_a_link_is_not_followed(where: Path) -> None:
    (where / "mine").mkdir()
    (where / f"{PREFIX}link").symlink_to(where / "mine")
    with temporary_folder(PREFIX):
        assert (where / "mine").exists()


def test_many_at_once(where: Path) -> None:
    def make(number: int) -> bool:
        with temporary_folder(PREFIX) as folder:
            (folder / str(number)).write_text("")
            return (folder / str(number)).exists()

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(make, range(300)))
    assert not list(where.iterdir())
