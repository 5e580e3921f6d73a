"""The recipes are what those take whose files they are, and their commands are commands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from cachexport.cli.app import app

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"


@pytest.mark.parametrize(
    ("name", "schema"),
    [("github-actions.yml", "vendor.github-workflows"), ("gitlab-ci.yml", "vendor.gitlab-ci")],
)
def test_a_pipeline_is_one(name: str, schema: str) -> None:
    argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    if schema == "vendor.gitlab-ci":
        argv += ["--data-transform", "gitlab-ci"]
    done = subprocess.run([*argv, str(RECIPES / name)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_job_is_one() -> None:
    job = yaml.safe_load((RECIPES / "kubernetes-job.yml").read_text())
    kubernetes_validate.validate(job, "1.31", strict=True)
    job["spec"]["template"]["spec"]["containers"][0]["arguments"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, "1.31", strict=True)


@pytest.mark.parametrize("name", [path.name for path in sorted(RECIPES.glob("*.yml"))])
def test_what_is_run_is_a_command(name: str) -> None:
    [line] = [text for text in texts(yaml.safe_load((RECIPES / name).read_text())) if is_run(text)]
    words = shlex.split(line.replace("\\\n", " "))
    [at] = [number for number, word in enumerate(words) if word in ("run", "serve") and number]
    with app.make_context("cachexport", words[at:]) as context:
        command = app.get_command(context, words[at])
        assert command is not None
        command.make_context(words[at], words[at + 1 :])


TOLD = {
    "github-actions.yml": {
        "github.event.number",
        "secrets.CACHE_ACCESS_KEY",
        "secrets.CACHE_SECRET_KEY",
    },
    "gitlab-ci.yml": {"CI_MERGE_REQUEST_IID"},
    "kubernetes-job.yml": set(),
}
"""What each recipe uses that its system tells: numbers and secrets."""


@pytest.mark.parametrize("name", TOLD)
def test_nobody_chooses_which_cache_is_written(name: str) -> None:
    told = "\n".join(texts(yaml.safe_load((RECIPES / name).read_text()), but="if"))
    expressions = " ".join(re.findall(r"\$\{\{(.*?)\}\}", told))
    found = [*re.findall(r"\b\w+\.[\w.]+", expressions), *re.findall(r"\$\{?(CI_\w+)", told)]
    assert set(found) == TOLD[name]


def is_run(text: str) -> bool:
    return "cachexport run" in text or "cachexport serve" in text


def texts(value: Any, but: str = "") -> list[str]:
    """Give all texts in what a YAML file has, without those under one key."""
    if isinstance(value, dict):
        value = [each for key, each in value.items() if key != but]
    if isinstance(value, list):
        return [text for each in value for text in texts(each, but)]
    return [value] if isinstance(value, str) else []
