"""The attributes of `type=sqlite`: one of its own, and those that every store has."""

from __future__ import annotations

from dataclasses import dataclass

from cachexport.plugin import ObjectExport, ObjectImport, attribute, path


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Where the store is."""

    file: str = attribute("file", path, summary="the file; an export makes it if need be")


@dataclass(frozen=True, kw_only=True)
class SqliteImport(Connection, ObjectImport):
    """What a `--cache-from` takes."""


@dataclass(frozen=True, kw_only=True)
class SqliteExport(Connection, ObjectExport):
    """What a `--cache-to` takes."""
