"""How layers can be compressed, and which media type says so."""

from __future__ import annotations

from enum import StrEnum

from cachexport.oci import mediatype


class Compression(StrEnum):
    """A layer's compression, spelled as the attribute `compression` spells it."""

    UNCOMPRESSED = "uncompressed"
    GZIP = "gzip"
    ZSTD = "zstd"

    @property
    def media_type(self) -> str:
        """The OCI media type of a layer that is compressed like this."""
        return _MEDIA_TYPES[self]

    @property
    def levels(self) -> range:
        """The values of `compression-level`; none where any number is taken and does nothing."""
        return _LEVELS.get(self, range(0))

    @classmethod
    def of(cls, media_type: str) -> Compression | None:
        """Tell the compression from a layer's media type; None for what is no layer."""
        return _COMPRESSIONS.get(mediatype.to_oci(media_type))


# BuildKit's; -1 is the default.
_LEVELS = {Compression.GZIP: range(-1, 10), Compression.ZSTD: range(23)}
_MEDIA_TYPES = {
    Compression.UNCOMPRESSED: mediatype.OCI_LAYER,
    Compression.GZIP: mediatype.OCI_LAYER_GZIP,
    Compression.ZSTD: mediatype.OCI_LAYER_ZSTD,
}
_COMPRESSIONS = {media_type: compression for compression, media_type in _MEDIA_TYPES.items()} | {
    mediatype.OCI_FOREIGN_LAYER: Compression.UNCOMPRESSED,
    mediatype.OCI_FOREIGN_LAYER + "+gzip": Compression.GZIP,
    mediatype.OCI_FOREIGN_LAYER + "+zstd": Compression.ZSTD,
}
