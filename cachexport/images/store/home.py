"""Where a user's own store is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.errors import FailedPrecondition

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "CACHEXPORT_STORE"


def home_store(env: Mapping[str, str]) -> Path:
    """Give the directory that $CACHEXPORT_STORE names, else one where XDG keeps a user's data.

    See the XDG Base Directory Specification: a path that is not absolute does not count. Raises
    FailedPrecondition where neither says so and the user has no home.
    """
    if given := env.get(VARIABLE):
        return Path(given)
    data = Path(env.get("XDG_DATA_HOME", ""))
    if not data.is_absolute():
        data = _home(env) / ".local" / "share"
    return data / "cachexport" / "store"


def _home(env: Mapping[str, str]) -> Path:
    try:
        return Path(env.get("HOME") or Path.home())
    except RuntimeError:
        message = f"there is no place for a store: set ${VARIABLE}, since this user has no home"
        raise FailedPrecondition(message) from None
