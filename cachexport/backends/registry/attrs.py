"""The attributes of `type=registry`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.contract.attributes import (
    attribute,
    flag,
    integer,
    known_attributes,
    read_attributes,
)
from cachexport.contract.export import CommonExport
from cachexport.contract.units import duration
from cachexport.errors import InvalidAttr, InvalidReference
from cachexport.oci.reference import Reference

if TYPE_CHECKING:
    from cachexport.contract.spec import Spec


def _reference(text: str) -> Reference:
    if _HOST_AND_PORT.fullmatch(text):
        raise ValueError(f"it names a registry and no repository; add one, as in {text}/app:cache")
    try:
        return Reference.parse(text)
    except InvalidReference as error:
        raise ValueError(str(error)) from error


def _repositories(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(";"))
    for name in names:
        if not name or "@" in name or ":" in name.rpartition("/")[2]:
            raise ValueError("wants repositories without tags, separated by semicolons")
    return names


def _count(text: str) -> int:
    number = integer(text)
    if not 0 < number <= _MOST:
        raise ValueError(f"wants a number from 1 to {_MOST}")
    return number


def _seconds(text: str) -> float:
    number = float(text) if text.isdecimal() else duration(text)
    if number <= 0:
        raise ValueError("wants a time, as in 30s or 1m")
    return number


_HOST_AND_PORT = re.compile(r"(localhost|[0-9.]+|\[[0-9a-fA-F:]+\]|.*\.[^:/]*):[0-9]+")
"""Looks like a host with a port; docker reads it as an image of its hub with a number as tag."""
_MOST = 256
_HUB = "docker.io"
_HUB_NAMES = ("docker.io/", "index.docker.io/")
"""How names of Docker Hub begin that say so; a name without a host is on Docker Hub as well."""


@dataclass(frozen=True, kw_only=True)  # without slots: two bases with slots do not mix
class RegistryConnection:
    """How to reach a registry."""

    insecure: bool | None = attribute(
        "registry.insecure",
        flag,
        default=None,
        summary="true: check no certificate, and fall back to plain HTTP; by default localhost "
        "is asked in plain HTTP and any other host over TLS",
    )
    parallelism: int = attribute(
        "parallelism", _count, default=32, summary="how many requests run at once"
    )
    timeout: float = attribute(
        "timeout",
        _seconds,
        default=60.0,
        summary="how long to wait for an answer, as in 90s or 2m",
    )
    retries: int = attribute(
        "retries", _count, default=5, summary="how often something temporary is tried"
    )


@dataclass(frozen=True, kw_only=True)
class RegistryImport(RegistryConnection):
    """The attributes of a source."""

    ref: Reference = attribute("ref", _reference, summary="the cache's reference")


@dataclass(frozen=True, kw_only=True)
class Mounting:
    """The reference to write, and the repositories to mount blobs from."""

    ref: Reference = attribute("ref", _reference, summary="the reference to write")
    mount_from: tuple[str, ...] = attribute(
        "mount-from",
        _repositories,
        default=(),
        summary="repositories of the same registry, separated by ;, from which it takes over "
        "the layers that they have, without their being sent",
    )

    def other_repositories(self) -> tuple[str, ...]:
        """Give the paths of `mount_from` in the registry, without the repository of `ref`.

        Raises InvalidAttr for a repository of another registry.
        """
        found = [self._beside(text) for text in self.mount_from]
        return tuple(dict.fromkeys(name for name in found if name != self.ref.repository))

    def _beside(self, text: str) -> str:
        try:
            named = Reference.parse(text)
            if named.host == _HUB != self.ref.host and not text.startswith(_HUB_NAMES):
                named = Reference.parse(f"{self.ref.host}/{text}")
        except InvalidReference as error:
            raise InvalidAttr(
                "mount-from", f"bad value for attribute mount-from: {error}"
            ) from error
        if named.host != self.ref.host:
            message = f"mount-from: {named.name} is not in the registry {self.ref.host}"
            raise InvalidAttr("mount-from", message)
        return named.repository


@dataclass(frozen=True, kw_only=True)
class RegistryExport(RegistryConnection, Mounting, CommonExport):
    """The attributes of a target."""

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

    def __post_init__(self) -> None:
        super().__post_init__()
        self.other_repositories()


@dataclass(frozen=True, kw_only=True)
class RegistryImagePush(RegistryConnection, Mounting):
    """The attributes of a target of images."""

    force: bool = attribute("force", flag, default=False, summary="replace a build cache")

    def __post_init__(self) -> None:
        self.other_repositories()


def read_import(spec: Spec) -> RegistryImport:
    """Read the attributes of a source; those of a target have no effect. Raises InvalidAttr."""
    return read_attributes(RegistryImport, spec, ignored=known_attributes(RegistryExport))


def read_export(spec: Spec) -> RegistryExport:
    """Read the attributes of a target; those of a source have no effect. Raises InvalidAttr."""
    return read_attributes(RegistryExport, spec, ignored=known_attributes(RegistryImport))


def read_image_push(spec: Spec) -> RegistryImagePush:
    """Read the attributes of a target of images. Raises InvalidAttr."""
    return read_attributes(RegistryImagePush, spec, ignored=known_attributes(RegistryImport))
