from __future__ import annotations

import re

import pytest
from cli.commands import InProcess, process

from cachexport.cli.verbs import COMMANDS, IMAGE_VERBS, VERBS, Verb
from cachexport.contract.discovery import installed_backends

TYPES = [f"type={kind}" for kind in sorted(installed_backends())]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_of_a_command(run: InProcess, words: tuple[str, ...]) -> None:
    ran = run(*words, "--help")
    assert (ran.code, ran.err) == (0, "")
    paragraphs = ran.out.split("\n\n")
    assert paragraphs[1].split("\n")[0].strip() == COMMANDS[words].summary
    assert re.search(r"^  Examples:\n    \S", ran.out, re.MULTILINE)
    assert max(map(len, ran.out.splitlines())) <= 80


@pytest.mark.parametrize(("words", "verbs"), [([], VERBS), (["image"], IMAGE_VERBS)])
def test_help_lists_every_verb_with_its_summary(
    run: InProcess, words: list[str], verbs: dict[str, Verb]
) -> None:
    listed = run(*words, "--help").out.partition("Options:\n")[2].partition("\n\n")[2]
    listed = listed.partition("\nThe store is")[0].partition("\n  The store is")[0]
    found = re.findall(r"^  ([a-z]+)  +([A-Z].+)$", listed, re.MULTILINE)
    assert found == [(name, verb.summary) for name, verb in verbs.items()]
    headings = re.findall(r"^([A-Z].*):$", listed, re.MULTILINE)
    assert headings == list(dict.fromkeys(verb.group for verb in verbs.values()))


def test_no_arguments_show_the_help_on_stderr(run: InProcess) -> None:
    ran = run()
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == run("--help").out


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (["exprt"], "did you mean 'export'?", "Try 'cachexport --help'."),
        (["zzz"], "known: export, ", "Try 'cachexport --help'."),
        (["--what"], "--what", "Try 'cachexport --help'."),
        (["export", "--what"], "--what", "Try 'cachexport export --help'."),
        (["export"], "--cache-from", "Try 'cachexport export --help'."),
        (["inspect"], "SPEC", "Try 'cachexport inspect --help'."),
        (["inspect", "type=local,src=x", "--format", "xml"], "xml", "Try 'cachexport inspect"),
        (["doctor"], "SPEC", "Try 'cachexport doctor --help'."),
        (["image", "sav"], "did you mean 'save'?", "Try 'cachexport image --help'."),
        (["image", "save"], "NAME", "Try 'cachexport image save --help'."),
        (["image", "pull", "app", "--platform", "a/b/c/d"], "is no platform", "image pull --help"),
        (["image", "append", "--env", "x"], "'x' is not KEY=VALUE", "image append --help"),
        (["completion", "csh"], "csh", "Try 'cachexport completion --help'."),
    ],
)
def test_misuse(run: InProcess, args: list[str], message: str, hint: str) -> None:
    ran = run(*args)
    assert (ran.code, ran.out) == (2, "")
    (error,) = ran.errors
    assert message in error
    assert hint in ran.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_ask_this_program(run: InProcess, shell: str) -> None:
    ran = run("completion", shell)
    assert ran.code == 0
    assert f"_CACHEXPORT_COMPLETE={shell}_complete" in ran.out
    assert "cachexport" in ran.out


@pytest.mark.parametrize(
    ("words", "cword", "completions"),
    [
        ("cachexport ", "1", list(VERBS)),
        ("cachexport expo", "1", ["export"]),
        ("cachexport inspect --format ", "3", ["table", "json", "tree", "dot"]),
        ("cachexport inspect ty", "2", TYPES),
        ("cachexport export --cache-to ", "3", TYPES),
    ],
)
def test_completion(words: str, cword: str, completions: list[str]) -> None:
    ran = process(_CACHEXPORT_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=cword)
    found = [line.partition(",")[2] for line in ran.out.splitlines()]
    assert found == completions
