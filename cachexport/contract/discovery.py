"""Finding backends. Ours come through the same door as a stranger's: an entry point."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, cast

from cachexport.contract.attributes import known_attributes
from cachexport.contract.backend import Described
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
    """Give the entry points of all packages. Of several for one type the first counts."""
    from importlib.metadata import entry_points

    return sorted(entry_points(group=GROUP), key=_precedence)


def package_of(entry: EntryPoint) -> str:
    """Give the name of the package that has an entry point; empty where nobody knows."""
    return entry.dist.name if entry.dist is not None else ""


def _precedence(entry: EntryPoint) -> tuple[str, bool, str]:
    package = package_of(entry)
    return entry.name, package != "cachexport", package


_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAttribute:
    """An attribute that a backend knows."""

    name: str
    summary: str
    source: bool
    """Whether `--cache-from` uses it."""
    target: bool
    """Whether `--cache-to` uses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A backend."""

    type: str
    package: str
    """The distribution that it comes with, as `pip` names it; empty where nobody knows."""
    version: str
    attributes: tuple[KnownAttribute, ...] = ()
    """In the order in which it declares them; none where it does not tell."""
    missing: tuple[str, ...] = ()
    """Packages that it needs and that are not installed."""
    fault: str = ""
    """Why it cannot be used; empty when it can."""


def list_plugins() -> list[Plugin]:
    """Describe all backends, by type; a broken one has a fault, and keeps no other from working.

    All of them are imported for that.
    """
    return [_describe(entry) for entry in all_installed()]


def _describe(entry: EntryPoint) -> Plugin:
    attributes: tuple[KnownAttribute, ...] = ()
    missing = _missing(entry)
    fault = f"install {' '.join(missing)}" if missing else _shadowed(entry)
    try:
        backend = load(entry)
        attributes = _attributes(backend) if isinstance(backend, Described) else ()
    except ImportError as error:
        fault = fault or f"it needs a package: {error}"
    except (Exception, SystemExit) as error:  # what a stranger's module may raise has no end
        fault = fault or f"it is broken: {error!r}"
    return Plugin(
        type=entry.name,
        package=package_of(entry),
        version=entry.dist.version if entry.dist is not None else "",
        attributes=attributes,
        missing=missing,
        fault=fault,
    )


def _shadowed(entry: EntryPoint) -> str:
    counting = installed_backends().get(entry.name)
    if counting is None or package_of(counting) == package_of(entry):
        return ""
    return f"type={entry.name} means the backend of {package_of(counting)}"


def _attributes(backend: Described) -> tuple[KnownAttribute, ...]:
    source, target = map(known_attributes, backend.attributes())
    return tuple(
        KnownAttribute(
            name=name, summary=declared.summary, source=name in source, target=name in target
        )
        for name, declared in (source | target).items()
    )


def _missing(entry: EntryPoint) -> tuple[str, ...]:
    """Give what a distribution always needs and is not there. What has a condition is left out."""
    from importlib.metadata import PackageNotFoundError, version

    lacking = []
    for requirement in (entry.dist.requires if entry.dist is not None else None) or ():
        found = _NAME.match(requirement)
        if found is None or ";" in requirement:
            continue
        try:
            version(found[1])
        except PackageNotFoundError:
            lacking.append(found[1])
    return tuple(lacking)
