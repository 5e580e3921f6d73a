"""docs/classic-builder.md and the example that it names do what they say."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import cachexport
from cachexport.images import open_docker_archive, read_config, select_image
from cachexport.images.builder.classic import LABEL, PARENT
from cachexport.images.config.config import read_diff_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(cachexport.__file__).parent.parent
PAGE = (ROOT / "docs" / "classic-builder.md").read_text(encoding="utf-8")


def run(folder: Path, args: Sequence[str | Path]) -> tuple[str, str]:
    """Run Python and give what it printed, to stdout and stderr."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    program = [sys.executable, "-W", "error", *args]
    done = subprocess.run(program, cwd=folder, env=env, check=True, capture_output=True, text=True)
    return done.stdout, done.stderr


def shown_block(language: str) -> str:
    [text] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


def test_the_example_builds_the_image_that_the_page_shows(tmp_path: Path) -> None:
    command, shown = shown_block("console").split("\n", 1)
    dollar, python, *args = shlex.split(command)
    assert (dollar, python) == ("$", "python")
    args[0] = str(ROOT / args[0])
    printed, name = run(tmp_path, args)
    assert printed == shown
    with open_docker_archive(tmp_path / args[-1]) as archive:
        [image] = archive.images
        assert image.names == ("docker.io/example/greeting:1",)
        assert name == f"moby-dangling@{image.descriptor.digest}\n"
        config = read_config(archive, select_image(archive, image.descriptor))
        assert len(read_diff_ids(config)) == 2


def test_the_example_builds_on_what_it_built(tmp_path: Path) -> None:
    example = ROOT / "examples" / "classic_build.py"
    _, name = run(tmp_path, [example, "store", "out.tar"])
    printed, again = run(tmp_path, [example, "store", "again.tar", name.strip()])
    # Steps that change nothing add no layers, and the image stays what it was.
    assert printed == "etc/greeting: layers 2\netc/name: layers 2\n"
    assert again == name


def test_the_python_of_the_page_runs(tmp_path: Path) -> None:
    printed, _ = run(tmp_path, ["-c", shown_block("python")])
    assert re.fullmatch(r"moby-dangling@sha256:[0-9a-f]{64}\n", printed)


@pytest.mark.parametrize("label", [LABEL, PARENT])
def test_the_page_names_the_labels(label: str) -> None:
    assert f"| `{label}` |" in PAGE
