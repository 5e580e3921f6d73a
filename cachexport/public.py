"""The public names of a module: listed once, in the stub beside it, imported when first used.

Type checkers read the stub; so does this, and no name is typed twice. Names of earlier versions
stay for one minor version, with a warning.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_IMPORT = re.compile(r"^from \.([\w.]+) import (\([^)]*\)|.*)$", re.MULTILINE)


def attach(
    module: str, file: str, renamed: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Give `__getattr__`, `__dir__` and `__all__` for a module with a stub beside its `file`.

    `renamed` has the names of earlier versions, and what each is called now.
    """
    path = Path(file)
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    homes = _homes(path.with_suffix(".pyi"), package)

    def find(name: str) -> Any:
        if renamed and name in renamed:
            return find_renamed(module, name, renamed)
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        found = getattr(import_module(homes[name]), name)
        setattr(sys.modules[module], name, found)
        return found

    def names() -> list[str]:
        return sorted({*vars(sys.modules[module]), *homes})

    return find, names, sorted(homes)


def find_renamed(module: str, name: str, renamed: Mapping[str, str]) -> Any:
    """Give what an old name of a module stands for, and say what it is called now."""
    import warnings

    now = renamed[name]
    message = f"{module}.{name} is called {module}.{now} now, and goes with the next minor version"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
    return getattr(sys.modules[module], now)


def find_moved(module: str, now: str) -> Callable[[str], Any]:
    """Give `__getattr__` for the old name of a module that is called `now`."""

    def find(name: str) -> Any:
        import warnings

        if name.startswith("__"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        message = f"{module} is called {now} now, and goes with the next minor version"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return getattr(import_module(now), name)

    return find


def _homes(stub: Path, package: str) -> dict[str, str]:
    """Read which module of the package each name of its stub comes from."""
    return {
        name.split()[0]: f"{package}.{home}"
        for home, names in _IMPORT.findall(stub.read_text(encoding="utf-8"))
        for name in names.strip("()").split(",")
        if name.strip()
    }
