"""What a manifest is that clients send or ask for."""

from __future__ import annotations

from dataclasses import replace

from cachexport.errors import WireFormat
from cachexport.model.envelope.manifest import Manifest, decode_manifest
from cachexport.oci import gojson, mediatype

_KNOWN = mediatype.MANIFESTS | mediatype.INDEXES
_FIELDS = frozenset({"mediaType", "config", "layers", "manifests"})


def read_manifest(raw: bytes, stated: str = "") -> Manifest:
    """Read a manifest of a kind that is known here. Raises WireFormat.

    What names its blobs in another way is refused, for nobody could tell whether they are there.
    OCI leaves `mediaType` out at will; then it is what is `stated`, or what it names tells.
    """
    found = gojson.fields(gojson.loads(raw), _FIELDS, "")
    manifest = decode_manifest(raw)
    if found.get("mediaType"):
        if manifest.media_type != found["mediaType"]:
            raise WireFormat(f"no manifest that is known here: {found['mediaType']}", "mediaType")
    else:
        manifest = replace(manifest, media_type=_type(manifest, stated))
    has_all = "manifests" in found if manifest.is_index else {"config", "layers"} <= found.keys()
    if not has_all:
        raise WireFormat("a manifest has config and layers, or manifests")
    return manifest


def check_stated(manifest: Manifest, stated: str) -> None:
    """Raise WireFormat when a Content-Type names another kind of manifest."""
    if stated in _KNOWN and stated != manifest.media_type:
        raise WireFormat(f"the Content-Type is {stated}, the manifest {manifest.media_type}")


def _type(manifest: Manifest, stated: str) -> str:
    kinds = mediatype.INDEXES if manifest.is_index else mediatype.MANIFESTS
    if stated in kinds:
        return stated
    config = [manifest.config] if manifest.config else []
    named = [*config, *manifest.layers, *manifest.manifests]
    if any(desc.media_type.startswith("application/vnd.oci.") for desc in named):
        return mediatype.OCI_INDEX if manifest.is_index else mediatype.OCI_MANIFEST
    return manifest.media_type
