"""What is installed, and that what is broken keeps nothing else from working."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest
from cli.commands import local, process
from support import caches

if TYPE_CHECKING:
    from pathlib import Path

    from cli.commands import InProcess, Ran

BROKEN = {
    "raising": "raise ValueError('it never worked')",
    "exiting": "import sys; sys.exit(3)",
    "lacking": "import a_package_that_nobody_has",
    "s3": "backend = object()",
    "mute": "class Mute: ...\nbackend = Mute()",
}


@pytest.fixture
def installed(tmp_path: Path) -> str:
    """Install broken backends of a stranger's, and give the path that they are found on."""
    info = tmp_path / "cachexport_broken-1.2.dist-info"
    info.mkdir()
    needs = "Requires-Dist: another-package-that-nobody-has>=1\nRequires-Dist: click\n"
    unneeded = 'Requires-Dist: third-one-that-nobody-has; extra == "x"\n'
    info.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: cachexport-broken\nVersion: 1.2\n{needs}{unneeded}"
    )
    lines = [f"{kind} = broken_{kind}:backend" for kind in BROKEN]
    lines.append("absent = no_module_at_all:backend")
    info.joinpath("entry_points.txt").write_text("\n".join(["[cachexport.backends]", *lines]))
    for kind, code in BROKEN.items():
        tmp_path.joinpath(f"broken_{kind}.py").write_text(code)
    return os.pathsep.join([str(tmp_path), *filter(None, sys.path)])


def ran(path: str, *args: str) -> Ran:
    return process(*args, PYTHONPATH=path)


def told(path: str) -> dict[tuple[str, str], dict[str, object]]:
    done = ran(path, "plugins", "--format", "json")
    assert (done.code, done.err) == (0, "")
    return {(each["type"], each["package"]): each for each in json.loads(done.out)["plugins"]}


def test_our_own_are_ready(run: InProcess) -> None:
    found = {
        each["type"]: each for each in json.loads(run("plugins", "--format", "json").out)["plugins"]
    }
    for kind in ("local", "registry", "s3"):
        assert (found[kind]["package"], found[kind]["ready"]) == ("cachexport", True)
    names = {each["name"]: each for each in found["local"]["attributes"]}
    assert (names["src"]["from"], names["src"]["to"]) == (True, False)
    assert (names["dest"]["from"], names["dest"]["to"]) == (False, True)
    assert (names["tag"]["from"], names["tag"]["to"]) == (True, True)
    assert all(each["summary"] for each in names.values())


def test_each_is_listed_with_what_is_wrong(installed: str) -> None:
    found = told(installed)
    lacking = "install another-package-that-nobody-has"
    for kind in (*BROKEN, "absent"):
        each = found[kind, "cachexport-broken"]
        assert (each["version"], each["ready"], each["fault"]) == ("1.2", False, lacking)
        assert each["missing"] == ["another-package-that-nobody-has"]
    assert found["s3", "cachexport"]["ready"]


def test_without_requirements_the_module_tells(installed: str, tmp_path: Path) -> None:
    [metadata] = tmp_path.glob("*.dist-info/METADATA")
    metadata.write_text("Metadata-Version: 2.1\nName: cachexport-broken\nVersion: 1.2\n")
    found = {kind: each for (kind, package), each in told(installed).items() if package[10:]}
    faults = {kind: each["fault"] for kind, each in found.items()}
    assert faults["raising"] == "it is broken: ValueError('it never worked')"
    assert faults["exiting"] == "it is broken: SystemExit(3)"
    assert faults["lacking"] == "it needs a package: No module named 'a_package_that_nobody_has'"
    assert faults["absent"] == "it needs a package: No module named 'no_module_at_all'"
    assert faults["s3"] == "type=s3 means the backend of cachexport"
    assert (faults["mute"], found["mute"]["attributes"]) == (None, [])


def test_a_broken_one_breaks_nothing_else(installed: str, tmp_path: Path) -> None:
    source = local(caches.FOLDER / "max")
    done = ran(
        installed, "export", "--cache-from", source, "--cache-to", local(tmp_path / "x", "dest")
    )
    assert done.code == 0
    done = ran(installed, "export", "--cache-from", source, "--cache-to", "type=raising,x=y")
    assert (done.code, done.out) == (69, "")
    assert "the backend for type=raising is broken: ValueError('it never worked')" in done.err
    done = ran(installed, "inspect", "type=lacking")
    assert done.code == 69
    assert "a_package_that_nobody_has" in done.err


def test_a_table_of_backends_and_one_of_attributes(run: InProcess, installed: str) -> None:
    lines = ran(installed, "plugins").out.splitlines()
    assert lines[0].split() == ["TYPE", "PACKAGE", "VERSION", "READY", "FAULT"]
    assert any(line.split()[:2] == ["raising", "cachexport-broken"] for line in lines)
    lines = run("plugins", "s3").out.splitlines()
    assert lines[0].startswith("type=s3, from cachexport ")
    assert ["bucket", "both", "the", "bucket;"] in [line.split()[:4] for line in lines]
    assert ["touch_refresh", "to"] in [line.split()[:2] for line in lines]
    done = ran(installed, "plugins", "lacking")
    assert "cannot be used: install another-package-that-nobody-has" in done.out
    done = run("plugins", "nosuch")
    assert (done.code, done.out) == (69, "")
