"""The attributes that every export target has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cachexport.contract.attributes import attribute, boolean, flag, integer, one_of
from cachexport.errors import InvalidAttr
from cachexport.oci.compression import Compression


def read_compression(text: str) -> Compression:
    """Read a compression that layers can be written in."""
    if text == "estargz":
        raise ValueError("estargz is not supported; use gzip, zstd or uncompressed")
    try:
        return Compression(text)
    except ValueError:
        raise ValueError(f"wants one of {', '.join(Compression)}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressing:
    """How layers are to be compressed; None means as they are."""

    compression: Compression | None = attribute(
        "compression",
        read_compression,
        default=None,
        summary="uncompressed, gzip or zstd; with force-compression",
    )
    compression_level: int | None = attribute(
        "compression-level", integer, default=None, summary="gzip 0 to 9, zstd 0 to 22"
    )
    force_compression: bool = attribute(
        "force-compression",
        flag,
        default=False,
        summary="convert layers that are compressed otherwise",
    )

    def __post_init__(self) -> None:
        levels = (self.compression or Compression.GZIP).levels
        if self.compression_level is not None and levels and self.compression_level not in levels:
            message = f"compression-level={self.compression_level} is not one of"
            raise InvalidAttr("compression-level", f"{message} {levels[0]} to {levels[-1]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonExport(Compressing):
    """How a cache is to be written; None means as the source has it."""

    mode: Literal["min", "max"] | None = attribute(
        "mode",
        one_of("min", "max"),
        default=None,
        summary="min keeps the results that lead to the final ones, max keeps all",
    )
    image_manifest: bool | None = attribute(
        "image-manifest",
        boolean,
        default=None,
        summary="write an image manifest instead of an index",
    )
    oci_mediatypes: bool | None = attribute(
        "oci-mediatypes",
        boolean,
        default=None,
        summary="use OCI's media types instead of Docker's",
    )
    merge: bool = attribute(
        "merge",
        flag,
        default=False,
        summary="keep what is there under the name: the newest result of each record wins",
    )
    on_oversize: Literal["compact", "warn", "fail"] = attribute(
        "on-oversize",
        one_of("compact", "warn", "fail"),
        default="compact",
        summary="what to do with a cache that is too large for BuildKit to import",
    )
    ignore_error: bool = attribute(
        "ignore-error",
        flag,
        default=False,
        summary="a failed export is a warning, not an error",
    )

    def __post_init__(self) -> None:
        Compressing.__post_init__(self)  # super() fails: slots=True makes a new class
        if self.image_manifest and self.oci_mediatypes is False:
            raise InvalidAttr(
                "image-manifest",
                "image-manifest=true needs oci-mediatypes=true: "
                "Docker's media types have no image manifest for caches",
            )
