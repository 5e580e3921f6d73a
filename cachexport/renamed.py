"""Public names of earlier versions. Each stays for one minor version, with a warning."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def find_renamed(module: str, name: str, renamed: Mapping[str, str]) -> Any:
    """Give what an old name of a module stands for, and say what it is called now."""
    now = renamed[name]
    message = f"{module}.{name} is called {module}.{now} now, and goes with the next minor version"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
    return getattr(sys.modules[module], now)
