"""Find backends by entry point. Built-in and third-party ones are found the same way."""

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

    Raises UnknownBackend if no installed package has it, MissingExtra if the backend needs a
    package that is not installed, PluginError if it cannot be imported for another reason.
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
    """Import a backend. Raises whatever importing it raises."""
    return cast("Backend", entry.load())


@cache
def installed_backends() -> dict[str, EntryPoint]:
    """Give the entry points of all installed backends by type, without importing them.

    If several have the same type, the one of `cachexport` is used, else the one of the package
    whose name sorts first.
    """
    return {entry.name: entry for entry in reversed(all_installed())}


def all_installed() -> list[EntryPoint]:
    """List the entry points of all backends, by type. The first one of a type is used."""
    from importlib.metadata import entry_points

    return sorted(entry_points(group=GROUP), key=_precedence)


def package_of(entry: EntryPoint) -> str:
    """Give the name of the package that declares an entry point; empty if unknown."""
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
    """The distribution that it comes with, as `pip` names it; empty if unknown."""
    version: str
    attributes: tuple[KnownAttribute, ...] = ()
    """In the order in which they are declared; empty if the backend does not list them."""
    missing: tuple[str, ...] = ()
    """Packages that it needs and that are not installed."""
    fault: str = ""
    """Why it cannot be used; empty when it can."""


def list_plugins() -> list[Plugin]:
    """Import and describe all backends, sorted by type.

    One that cannot be imported is listed with its `fault`; the others are still described.
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
    except (Exception, SystemExit) as error:  # third-party code may raise anything
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
    """List what a distribution requires and is not installed, except with an environment marker."""
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
