"""The recipes are what those take whose files they are, and their commands are commands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from typing import Any

import kubernetes_validate
import pytest
import yaml
from support import ROOT

from cachexport.cli.app import app
from cachexport.contract.spec import parse_spec

RECIPES = ROOT / "docs" / "recipes"


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


@pytest.mark.parametrize("name", ["kubernetes-job.yml", "kubernetes-deployment.yml"])
def test_a_manifest_is_one(name: str) -> None:
    documents = list(yaml.safe_load_all((RECIPES / name).read_text()))
    for document in documents:
        kubernetes_validate.validate(document, "1.31", strict=True)
    documents[0]["spec"]["template"]["spec"]["containers"][0]["arguments"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(documents[0], "1.31", strict=True)


COMMANDS = {
    "cachexport.service": ["serve"],
    "github-actions.yml": ["run"],
    "gitlab-ci.yml": ["run", "prune"],
    "kubernetes-deployment.yml": ["serve"],
    "kubernetes-job.yml": ["serve"],
}
"""The verbs that each recipe uses."""


FILE = re.compile(r"(--(?:token-file|tls-cert|tls-key)[ =])\S+")
"""An option whose file has to be there."""


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_run_is_a_command(name: str) -> None:
    found = [words for script in scripts(name) for words in given(script, key="x")]
    assert [words[0] for words in found] == COMMANDS[name]
    for words in found:
        check(words)


def test_what_the_page_shows_is_a_command() -> None:
    page = (RECIPES.parent / "gateway.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    found = [given(line, key="x") for line in lines if line.startswith("cachexport ")]
    assert len(found) > 5
    for [words] in found:
        check(words)


@pytest.mark.parametrize("name", ["github-actions.yml", "gitlab-ci.yml"])
def test_who_has_no_key_writes_nothing(name: str) -> None:
    script = scripts(name)[0]
    [with_key], [without] = given(script, key="x"), given(script, key="")
    assert [word for word in with_key if word.startswith("--cache-to=type=s3,")]
    assert without == [word for word in with_key if not word.startswith("--cache-to")]


def check(words: list[str]) -> None:
    """Raise what click raises unless these are words of a command of ours."""
    with app.make_context("cachexport", list(words)) as context:
        command = app.get_command(context, words[0])
        assert command is not None
        with command.make_context(words[0], words[1:], parent=context) as made:
            specs = [made.params.get(key) or () for key in ("sources", "targets", "upstream")]
            for spec in [text for each in specs for text in each]:
                parse_spec(spec)


def scripts(name: str) -> list[str]:
    """Give what a recipe has run of ours, each as a line for a shell."""
    text = (RECIPES / name).read_text()
    if name.endswith(".service"):
        return re.findall(r"^ExecStart=\S+/(.*)", text.replace("\\\n", " "), re.MULTILINE)
    first, *_ = documents = list(yaml.safe_load_all(text))
    if "kind" in first:
        pod = first["spec"]["template"]["spec"]
        containers = [*pod.get("initContainers", []), *pod["containers"]]
        return [
            shlex.join([each["name"], *each["args"]])
            for each in containers
            if "serve" in each["args"]
        ]
    return [each for each in texts(documents) if each.startswith("cachexport ")]


def given(script: str, *, key: str) -> list[list[str]]:
    """Give the words that a shell would call us with, where the login is `key`."""
    told = 'cachexport() { printf "%s\\n" "$@" ""; }\n'
    env = {"BUCKET": "type=s3,region=r,bucket=b", "NAME": "pr-1", "AWS_ACCESS_KEY_ID": key}
    done = subprocess.run(
        ["sh", "-euc", told + FILE.sub(rf"\1{__file__}", script)],
        env={**env, "CI_DEFAULT_BRANCH": "main"},
        capture_output=True,
        text=True,
        check=True,
    )
    return [part.split("\n") for part in done.stdout.strip("\n").split("\n\n")]


TOLD = {
    "github-actions.yml": {
        "github.event.number",
        "secrets.CACHE_ACCESS_KEY",
        "secrets.CACHE_SECRET_KEY",
    },
    "gitlab-ci.yml": {"CI_DEFAULT_BRANCH", "CI_MERGE_REQUEST_IID"},
}
"""What each recipe uses that its system tells: numbers, secrets, what the project's owner chose."""


@pytest.mark.parametrize("name", TOLD)
def test_nobody_chooses_which_cache_is_written(name: str) -> None:
    told = "\n".join(texts(yaml.safe_load((RECIPES / name).read_text()), but="if"))
    expressions = " ".join(re.findall(r"\$\{\{(.*?)\}\}", told))
    found = [*re.findall(r"\b\w+\.[\w.]+", expressions), *re.findall(r"\$\{?(CI_\w+)", told)]
    assert set(found) == TOLD[name]


def texts(value: Any, but: str = "") -> list[str]:
    """Give all texts in what a YAML file has, without those under one key."""
    if isinstance(value, dict):
        value = [each for key, each in value.items() if key != but]
    if isinstance(value, list):
        return [text for each in value for text in texts(each, but)]
    return [value] if isinstance(value, str) else []
