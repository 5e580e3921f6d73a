"""The public names of a module: listed once, in the stub beside it, imported when first used.

Type checkers read the stub; so does this, when the first name is asked for, and no name is typed
twice. Names of earlier versions stay for one minor version, with a warning.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def attach(
    module: str, file: str, renamed: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Give `__getattr__` and `__dir__` for a module with a stub beside its `file`.

    `__all__` is all that the stub imports. `renamed` has the names of earlier versions, and what
    each is called now.
    """
    package = module if file.endswith("__init__.py") else module.rpartition(".")[0]
    homes: dict[str, str] = {}

    def read() -> dict[str, str]:
        homes.update(homes or _homes(file.removesuffix(".py") + ".pyi", package))
        return homes

    def find(name: str) -> Any:
        if name == "__all__":
            return sorted(read())
        if renamed and name in renamed:
            return find_renamed(module, name, renamed)
        if name.startswith("__") or name not in read():
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        from importlib import import_module

        found = getattr(import_module(homes[name]), name)
        setattr(sys.modules[module], name, found)
        return found

    def names() -> list[str]:
        return sorted({*vars(sys.modules[module]), *read()})

    return find, names


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
        from importlib import import_module

        if name.startswith("__"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        message = f"{module} is called {now} now, and goes with the next minor version"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return getattr(import_module(now), name)

    return find


def _homes(stub: str, package: str) -> dict[str, str]:
    """Read which module of the package each name of its stub comes from."""
    import re

    with open(stub, encoding="utf-8") as file:
        imports = re.findall(r"^from \.([\w.]+) import (\([^)]*\)|.*)$", file.read(), re.MULTILINE)
    return {
        name.split()[0]: f"{package}.{home}"
        for home, names in imports
        for name in names.strip("()").split(",")
        if name.strip()
    }
