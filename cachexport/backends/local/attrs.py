"""The attributes of `type=local`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.contract.attributes import (
    attribute,
    boolean,
    known_attributes,
    path,
    read_attributes,
)
from cachexport.contract.export import CommonExport
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from cachexport.contract.spec import Spec


def _tag(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError("wants a tag of printable letters")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalImport:
    """Where a cache is read from."""

    src: str = attribute("src", path, summary="the directory or archive to read")
    tag: str | None = attribute(
        "tag",
        _tag,
        default=None,
        summary="the tag or image name to read; latest without it",
    )
    digest: Digest | None = attribute(
        "digest",
        Digest.parse,
        default=None,
        summary="the digest of the manifest to read, whatever it is named",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalExport(CommonExport):
    """Where a cache is written to, and how."""

    dest: str = attribute("dest", path, summary="the directory to write")
    tag: str = attribute(
        "tag",
        _tag,
        default="latest",
        summary="the tag to give the cache",
    )
    reset: bool = attribute(
        "reset",
        boolean,
        default=False,
        summary="delete the blobs that nothing names after the export",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalImagePush:
    """Where an image is written to."""

    dest: str = attribute("dest", path, summary="the directory to write")
    name: str = attribute("name", default="", summary="the image's names, with commas between")


def read_import(spec: Spec) -> LocalImport:
    """Read the attributes of a source; those of a target have no effect. Raises InvalidAttr."""
    return read_attributes(LocalImport, spec, ignored=known_attributes(LocalExport))


def read_export(spec: Spec) -> LocalExport:
    """Read the attributes of a target; those of a source have no effect. Raises InvalidAttr."""
    return read_attributes(LocalExport, spec, ignored=known_attributes(LocalImport))
