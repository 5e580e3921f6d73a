"""Finding backends. Ours come through the same door as a stranger's: an entry point."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, cast

from cachexport.errors import MissingExtra, PluginError, UnknownBackend

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from cachexport.transfer.ends import Backend

GROUP = "cachexport.backends"


def find_backend(kind: str) -> Backend:
    """Give the backend for `type=kind`, importing its package.

    Raises UnknownBackend when no package offers it, MissingExtra when one does but lacks a
    package of its own, PluginError when it cannot be imported for another reason.
    """
    entry = installed_backends().get(kind)
    if entry is None:
        known = ", ".join(sorted(installed_backends()))
        raise UnknownBackend(f"no backend for type={kind} is installed (installed: {known})")
    try:
        return cast("Backend", entry.load())
    except ImportError as error:
        raise MissingExtra(f"the backend for type={kind} needs a package: {error}") from error
    except Exception as error:
        raise PluginError(f"the backend for type={kind} is broken: {error!r}") from error


@cache
def installed_backends() -> dict[str, EntryPoint]:
    """Give the entry points of all installed backends by type, nothing imported yet."""
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=GROUP)}
