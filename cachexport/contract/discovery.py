"""Finding backends. Ours come through the same door as a stranger's: an entry point."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, cast

from cachexport.errors import MissingExtra, PluginError, UnknownBackend

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from cachexport.contract.backend import Backend

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
        return load(entry)
    except ImportError as error:
        raise MissingExtra(f"the backend for type={kind} needs a package: {error}") from error
    except Exception as error:
        raise PluginError(f"the backend for type={kind} is broken: {error!r}") from error


def load(entry: EntryPoint) -> Backend:
    """Import a backend. Raises what its modules raise, whatever that is."""
    return cast("Backend", entry.load())


@cache
def installed_backends() -> dict[str, EntryPoint]:
    """Give the entry points of all installed backends by type, nothing imported yet.

    Of several with one type ours counts, else that of the package whose name comes first.
    """
    return {entry.name: entry for entry in reversed(all_installed())}


def all_installed() -> list[EntryPoint]:
    """Give the entry points of all packages, those that do not count too, which come later."""
    from importlib.metadata import entry_points

    return sorted(entry_points(group=GROUP), key=_precedence)


def package_of(entry: EntryPoint) -> str:
    """Give the name of the package that has an entry point; empty where nobody knows."""
    return entry.dist.name if entry.dist is not None else ""


def _precedence(entry: EntryPoint) -> tuple[str, bool, str]:
    package = package_of(entry)
    return entry.name, package != "cachexport", package
