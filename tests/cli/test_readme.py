"""The README shows what happens: its console blocks are run, its commands are CI's."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from cachexport.cli.verbs import COMMANDS

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BACKENDS = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")
OUTPUTS = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def console_blocks(text):
    return re.findall(r"^```console\n\$ (.*?)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_console_blocks_are_what_is_printed(tmp_path):
    blocks = console_blocks(README)
    assert len(blocks) == 14
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    settings = {"COLUMNS": "80", "PYTHONPATH": str(ROOT)}
    settings["CACHEXPORT_STORE"] = str(tmp_path / "store")
    for command, shown in blocks:
        program, *args = shlex.split(command)
        run = [sys.executable, "-m", program] if program == "cachexport" else [sys.executable]
        done = subprocess.run(
            [*run, *args],
            cwd=tmp_path,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (command, done.stdout) == (command, shown)
        assert done.returncode == 0


def test_the_reference_has_the_help_of_every_command(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    words = [words for words in COMMANDS if words != ("completion",)]
    commands, shown = zip(*console_blocks(REFERENCE), strict=True)
    assert list(commands) == [f"cachexport {' '.join(each)} --help" for each in words]
    assert list(shown) == [run(*each, "--help").out for each in words]


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [code] = re.findall(
        r"^```python\n(import cachexport\n.*?)^```$", README, re.MULTILINE | re.DOTALL
    )
    found = {}
    exec(code, found)
    assert list(found["response"]) == ["cache.manifest"]
    assert len(found["chains"]) == 2


def test_the_test_command_is_what_ci_runs():
    [(install, program)] = re.findall(
        r"^(python3 -m venv .*) && \.venv/bin/(pytest.*)$", README, re.MULTILINE
    )
    with_runner = install.replace("'.[test]'", "'.[nox,test]'")
    ci = (ROOT / ".ci" / "run").read_text().splitlines()
    assert f"{with_runner} && .venv/bin/nox -s tests" in ci
    noxfile = (ROOT / "noxfile.py").read_text()
    [session] = re.findall(r"^def tests\(.*\n(?:    .*\n)+", noxfile, re.MULTILINE)
    assert f'run(session, "{program}", *session.posargs)' in session


def listed_attributes(kind, page=BACKENDS):
    section = page.split(f"## {kind if ' ' in kind else f'`type={kind}`'}")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([\w.-]+)`", row)}


def test_every_attribute_is_in_a_table():
    from cachexport.backends.local.attrs import LocalExport, LocalImport
    from cachexport.backends.registry.attrs import RegistryExport, RegistryImport
    from cachexport.backends.s3.attrs import S3Export, S3Import
    from cachexport.contract.attributes import known_attributes
    from cachexport.contract.export import CommonExport

    common = set(known_attributes(CommonExport))
    local = {*known_attributes(LocalExport), *known_attributes(LocalImport)}
    assert listed_attributes("local") == local
    registry = {*known_attributes(RegistryExport), *known_attributes(RegistryImport)}
    assert listed_attributes("registry") == registry - common
    s3 = {*known_attributes(S3Export), *known_attributes(S3Import)}
    assert listed_attributes("s3") == s3 - common


def test_every_attribute_of_an_output_is_in_a_table():
    from cachexport.contract.attributes import known_attributes
    from cachexport.images.output import KINDS, Output

    common = set(known_attributes(Output))
    assert listed_attributes("All types", OUTPUTS) == common
    for kind, attributes in KINDS.items():
        if kind != "image":
            its = set(known_attributes(attributes)) - common
            assert listed_attributes(kind, OUTPUTS) == its


def test_every_exit_code_is_in_the_table():
    from cachexport import errors

    codes = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.CachexportError)
    }
    rows = re.findall(r"^\| (\d+) \| ", README, re.MULTILINE)
    assert {int(row) for row in rows} >= codes


def test_links_lead_somewhere():
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), (page, link)
