"""Descriptors: what names some content, with its type, size and annotations."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from cachexport.errors import InvalidDigest, WireFormat
from cachexport.oci import gojson
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping

UNCOMPRESSED = "containerd.io/uncompressed"
"""Annotation: the digest of the uncompressed layer."""
CREATED_AT = "buildkit/createdat"
"""Annotation: when a build made the layer."""
DESCRIPTION = "buildkit/description"
"""Annotation: the build step that made the layer, for people."""

_FIELDS = frozenset(
    {
        "mediaType",
        "digest",
        "size",
        "urls",
        "annotations",
        "data",
        "platform",
        "artifactType",
    }
)
_PLATFORM_FIELDS = frozenset({"architecture", "os", "os.version", "os.features", "variant"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What an image or a part of one is for, in the order of the wire format."""

    architecture: str = ""
    os: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def encode(self) -> str:
        """Give the platform's JSON as Go writes it."""
        # Go writes architecture and os even when they are empty.
        members = [
            f'"architecture":{gojson.quote(self.architecture)}',
            f'"os":{gojson.quote(self.os)}',
        ]
        if self.os_version:
            members.append(f'"os.version":{gojson.quote(self.os_version)}')
        if self.os_features:
            features = ",".join(map(gojson.quote, self.os_features))
            members.append(f'"os.features":[{features}]')
        if self.variant:
            members.append(f'"variant":{gojson.quote(self.variant)}')
        return "{" + ",".join(members) + "}"

    @classmethod
    def decode(cls, value: Any) -> Self:
        """Read the platform from parsed JSON; WireFormat when it is none."""
        found = gojson.fields(value, _PLATFORM_FIELDS, "")
        return cls(
            architecture=gojson.string(found.get("architecture"), "architecture"),
            os=gojson.string(found.get("os"), "os"),
            os_version=gojson.string(found.get("os.version"), "os.version"),
            os_features=_decode_strings(found.get("os.features"), "os.features"),
            variant=gojson.string(found.get("variant"), "variant"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """Names content by digest and says what it is; `size` is in bytes.

    The fields come in the order of the wire format.
    """

    media_type: str = ""
    digest: Digest
    size: int
    urls: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    data: bytes = b""
    platform: Platform | None = None
    artifact_type: str = ""

    @classmethod
    def of(cls, raw: bytes, media_type: str) -> Self:
        """Describe the bytes `raw`."""
        return cls(media_type=media_type, digest=Digest.of(raw), size=len(raw))

    @property
    def diff_id(self) -> Digest | None:
        """The digest of the uncompressed layer, where the annotations tell. Raises WireFormat."""
        text = self.annotations.get(UNCOMPRESSED)
        try:
            return Digest.parse(text) if text else None
        except InvalidDigest as error:
            raise WireFormat(f"{self.digest}: {error}", f"annotations[{UNCOMPRESSED!r}]") from error

    def encode(self) -> str:
        """Give the descriptor's JSON as Go writes it."""
        members = [
            f'"mediaType":{gojson.quote(self.media_type)}',
            f'"digest":{gojson.quote(self.digest)}',
            f'"size":{self.size}',
        ]
        if self.urls:
            members.append(f'"urls":[{",".join(map(gojson.quote, self.urls))}]')
        if self.annotations:
            members.append(f'"annotations":{gojson.quote_map(self.annotations)}')
        if self.data:
            members.append(f'"data":"{base64.b64encode(self.data).decode()}"')
        if self.platform is not None:
            members.append(f'"platform":{self.platform.encode()}')
        if self.artifact_type:
            members.append(f'"artifactType":{gojson.quote(self.artifact_type)}')
        return "{" + ",".join(members) + "}"

    @classmethod
    def decode(cls, value: Any) -> Self:
        """Read a descriptor from parsed JSON; WireFormat when it is none."""
        found = gojson.fields(value, _FIELDS, "")
        platform = found.get("platform")
        size = gojson.integer(found.get("size"), "size")
        if size < 0:
            raise WireFormat(f"negative size: {size}", "size")
        return cls(
            media_type=gojson.string(found.get("mediaType"), "mediaType"),
            digest=_decode_digest(found.get("digest")),
            size=size,
            urls=_decode_strings(found.get("urls"), "urls"),
            annotations=gojson.string_map(found.get("annotations"), "annotations"),
            data=gojson.base64(found.get("data"), "data"),
            platform=None if platform is None else _decode_platform(platform),
            artifact_type=gojson.string(found.get("artifactType"), "artifactType"),
        )


def _decode_strings(value: Any, name: str) -> tuple[str, ...]:
    return tuple(gojson.string(item, name) for item in gojson.array(value, name))


def _decode_digest(value: Any) -> Digest:
    try:
        return Digest.parse(gojson.string(value, "digest"))
    except InvalidDigest as error:
        raise WireFormat(str(error), "digest") from error


def _decode_platform(value: Any) -> Platform:
    try:
        return Platform.decode(value)
    except WireFormat as error:
        raise error.under("platform") from None
