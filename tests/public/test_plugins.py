"""Our plugins are like those of strangers: they import what is public, and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[2] / "plugins"
PUBLIC = {"cachexport", "cachexport.errors", "cachexport.plugin"}
MODULES = sorted(PLUGINS.glob("cachexport-*/cachexport_*/*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_a_plugin_imports_public_names_only(module: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
        elif isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
    ours = {name for name in imported if name.partition(".")[0] == "cachexport"}
    assert ours <= PUBLIC


def test_all_plugins_are_looked_at() -> None:
    packages = {module.parent.name for module in MODULES}
    assert packages >= {"cachexport_azblob", "cachexport_fsspec", "cachexport_gha"}
