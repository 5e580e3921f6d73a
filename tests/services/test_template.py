"""The project to begin a backend with: copied, renamed and installed, it passes the suites."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cli.commands import process
from support import ROOT, caches

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = ROOT / "examples" / "plugin"


def renamed(folder: Path) -> Path:
    """Copy the project as docs/plugins.md tells, as a backend of another name."""
    project = folder / "project"
    shutil.copytree(TEMPLATE, project, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    for path in [*project.rglob("*sqlite*")][::-1]:
        path.rename(path.with_name(path.name.replace("sqlite", "mine")))
    for path in project.rglob("*"):
        if path.suffix in (".py", ".toml", ".md"):
            text = path.read_text(encoding="utf-8")
            for word in ("cachexport_%s", "cachexport-%s", "type=%s", 'kind = "%s"', '\n%s = "'):
                text = text.replace(word % "sqlite", word % "mine")
            path.write_text(text, encoding="utf-8")
    return project


@pytest.mark.timeout(300)
def test_a_backend_of_ones_own(tmp_path: Path) -> None:
    project, site = renamed(tmp_path), tmp_path / "site"
    alone = ["--no-index", "--no-deps", "--no-build-isolation"]
    pip = [sys.executable, "-m", "pip", "install", "-q", *alone, "--target", str(site)]
    subprocess.run([*pip, str(project)], check=True, capture_output=True, timeout=120)
    path = os.pathsep.join([str(site), str(ROOT)])
    listed = process("plugins", PYTHONPATH=path).out.splitlines()
    assert any(line.split() == ["mine", "cachexport-mine", "0.1.0", "yes"] for line in listed)
    target = f"type=mine,file={tmp_path / 'caches.db'}"
    source = f"type=local,src={caches.FOLDER / 'max'}"
    done = process("export", "--cache-from", source, "--cache-to", target, PYTHONPATH=path)
    assert done.code == 0, done.err
    assert "16 records" in process("verify", "--deep", target, PYTHONPATH=path).out
    suites = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rfs", "-x"]
    ran = subprocess.run(
        suites,
        cwd=project,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-4000:]
    assert " passed" in ran.stdout
    skipped = [line for line in ran.stdout.splitlines() if line.startswith("SKIPPED")]
    assert all(line.endswith("it has to know digests first") for line in skipped), skipped
