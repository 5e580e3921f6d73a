"""The attributes of `type=registry`."""

from __future__ import annotations

from dataclasses import dataclass

from cachexport.errors import InvalidReference
from cachexport.oci.reference import Reference
from cachexport.spec import CommonExport, attribute
from cachexport.spec.attributes import flag, integer


def _reference(text: str) -> Reference:
    try:
        return Reference.parse(text)
    except InvalidReference as error:
        raise ValueError(str(error)) from error


def _count(text: str) -> int:
    number = integer(text)
    if not 0 < number <= _MOST:
        raise ValueError(f"wants a number from 1 to {_MOST}")
    return number


def _seconds(text: str) -> float:
    number = integer(text.removesuffix("s"))
    if number <= 0:
        raise ValueError("wants seconds, as in 30s")
    return float(number)


_MOST = 256


@dataclass(frozen=True, kw_only=True)  # without slots: two bases with slots do not mix
class Connection:
    """How to reach a registry."""

    insecure: bool | None = attribute(
        "registry.insecure",
        flag,
        default=None,
        summary="true: check no certificate, and fall back to plain HTTP; by default localhost "
        "is asked in plain HTTP and any other host over TLS",
    )
    parallelism: int = attribute(
        "parallelism", _count, default=16, summary="how many requests run at once"
    )
    timeout: float = attribute(
        "timeout", _seconds, default=60.0, summary="seconds without an answer before giving up"
    )
    retries: int = attribute(
        "retries", _count, default=5, summary="how often something temporary is tried"
    )


@dataclass(frozen=True, kw_only=True)
class RegistryImport(Connection):
    """What `type=registry` takes as a source."""

    ref: Reference = attribute("ref", _reference, summary="the cache's reference")


@dataclass(frozen=True, kw_only=True)
class RegistryExport(Connection, CommonExport):
    """What `type=registry` takes as a target."""

    ref: Reference = attribute("ref", _reference, summary="the cache's reference")
    force: bool = attribute(
        "force", flag, default=False, summary="replace what is no cache, such as an image"
    )
    trust_existing: bool = attribute(
        "trust-existing",
        flag,
        default=False,
        summary="ask for no blob that the cache under this ref names, where the registry is seen "
        "to refuse manifests of missing blobs",
    )
