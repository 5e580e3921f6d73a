"""The attributes that a store has beside its own. A backend's classes inherit these."""

from __future__ import annotations

from dataclasses import dataclass

from cachexport.contract.attributes import attribute, flag
from cachexport.contract.export import CommonExport
from cachexport.contract.units import duration, names
from cachexport.oci.digest import Digest


@dataclass(frozen=True, kw_only=True)  # without slots: two bases with slots do not mix
class ObjectNames:
    """Which caches are meant, in both directions."""

    name: tuple[str, ...] = attribute(
        "name", names, default=("buildkit",), summary="the cache's name; several joined by ;"
    )


@dataclass(frozen=True, kw_only=True)
class StoreImport:
    """What a source has in any store, whatever the store calls a name."""

    digest: Digest | None = attribute(
        "digest", Digest.parse, default=None, summary="read this manifest instead of a name"
    )


@dataclass(frozen=True, kw_only=True)
class StoreExport(CommonExport):
    """What a target has in any store, whatever the store calls a name."""

    touch_refresh: float = attribute(
        "touch_refresh",
        duration,
        default=24 * 3600.0,
        summary="the age from which a blob that is used again is made young, by default 24h",
    )
    force: bool = attribute("force", flag, default=False, summary="replace a name that is no cache")


@dataclass(frozen=True, kw_only=True)
class ObjectImport(StoreImport, ObjectNames):
    """What a source has."""


@dataclass(frozen=True, kw_only=True)
class ObjectExport(ObjectNames, StoreExport):
    """What a target has."""
