"""What plugins may import, what they do import, and what comes with the core."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from importlib.metadata import requires
from typing import TYPE_CHECKING

import pytest
from support import ROOT

import cachexport.plugin
import cachexport.testing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

PUBLIC = {"cachexport", "cachexport.errors", "cachexport.plugin"}
FOR_TESTS = {"cachexport.testing", "cachexport.testing.services"}
STRANGERS = [path for path in (ROOT / "plugins", ROOT / "examples" / "plugin") if path.exists()]
MODULES = [path for folder in STRANGERS for path in sorted(folder.rglob("*.py"))]


def imported(module: Path) -> Iterator[tuple[str, str]]:
    """Give the modules that are imported, with the names that are taken from them."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node.module or "", alias.name) for alias in node.names)


def test_every_public_name_is_there() -> None:
    for name in cachexport.plugin.__all__:
        assert getattr(cachexport.plugin, name) is not None
    assert len(cachexport.plugin.__all__) > 80
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        cachexport.plugin.nothing_of_this_name  # noqa: B018


@pytest.mark.parametrize("module", [cachexport.plugin, cachexport.testing])
def test_a_name_of_an_earlier_version_is_there_with_a_warning(module: ModuleType) -> None:
    assert module._RENAMED
    for old, new in module._RENAMED.items():
        with pytest.warns(DeprecationWarning, match=f"{module.__name__}.{old} is called .*{new}"):
            assert getattr(module, old) is getattr(module, new)
        assert old not in module.__all__


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_plugins_import_public_names_only(module: Path) -> None:
    allowed = {*PUBLIC, *FOR_TESTS} if "tests" in module.relative_to(ROOT).parts else PUBLIC
    for name, taken in imported(module):
        if name.split(".")[0] != "cachexport":
            continue
        assert name in allowed, f"{name} is none of {', '.join(sorted(allowed))}"
        if taken:
            assert taken in dir(importlib.import_module(name))
            assert not taken.startswith("_")


def test_the_page_names_all_that_is_public() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    words = set(re.findall(r"\w+", page))
    assert set(cachexport.plugin.__all__) <= words


def test_the_core_alone_brings_one_cloud_sdk() -> None:
    given = requires("cachexport") or []
    core = {re.split(r"[^\w-]", each)[0] for each in given if "extra ==" not in each}
    assert "boto3" in core
    clouds = re.compile(r"azure|google|gcs|adlfs|fsspec|oss|aiobotocore|s3fs")
    assert [name for name in core if clouds.search(name)] == []


def test_every_plugin_is_an_extra_of_the_core() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = extras["project"]["optional-dependencies"]
    for folder in (ROOT / "plugins").glob("cachexport-*"):
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        [kind] = project["entry-points"]["cachexport.backends"]
        assert project["name"] == f"cachexport-{kind}" == folder.name
        assert named[kind] == [project["name"]]
