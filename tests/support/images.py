"""Small images to write into archives."""

from __future__ import annotations

import gzip
import io
import tarfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cachexport.content.memory import MemoryContent
from cachexport.images import complete_config, empty_config, encode_image_manifest, normalise_layers
from cachexport.oci import mediatype
from cachexport.oci.descriptor import CREATED_AT, DESCRIPTION, UNCOMPRESSED, Descriptor, Platform
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CREATED = "2026-11-22T12:00:00.5Z"


@dataclass(frozen=True, kw_only=True)
class MadeImage:
    """An image and its blobs."""

    descriptor: Descriptor
    config: Descriptor
    layers: Sequence[Descriptor]
    blobs: Sequence[bytes]

    @property
    def content(self) -> MemoryContent:
        return MemoryContent(self.blobs)


def tar_layer(files: Mapping[str, bytes], mode: int = 0o755) -> bytes:
    """Pack a layer."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def make_image(
    *layers: bytes, platform: Platform | None = None, oci_mediatypes: bool = True
) -> MadeImage:
    """Make an image of tar archives, each compressed with gzip."""
    platform = platform or Platform(architecture="amd64", os="linux")
    blobs = [gzip.compress(raw, mtime=0) for raw in layers]
    descs = [described_layer(*made) for made in zip(range(len(blobs)), layers, blobs, strict=True)]
    base = empty_config(platform.architecture, platform.os, platform.variant)
    config = complete_config(base, descs)
    desc, manifest = encode_image_manifest(config, descs, oci_mediatypes=oci_mediatypes)
    return MadeImage(
        descriptor=replace(desc, platform=platform),
        config=Descriptor.of(config, mediatype.OCI_CONFIG),
        layers=normalise_layers(descs),
        blobs=[*blobs, config, manifest],
    )


def described_layer(number: int, raw: bytes, blob: bytes) -> Descriptor:
    """Describe a layer as a build does, with notes on what it is."""
    annotations = {
        UNCOMPRESSED: Digest.of(raw),
        CREATED_AT: CREATED,
        DESCRIPTION: f"COPY <{number}> /",
    }
    return replace(Descriptor.of(blob, mediatype.OCI_LAYER_GZIP), annotations=annotations)


def make_index(
    *images: MadeImage, extra: Sequence[Descriptor] = ()
) -> tuple[Descriptor, MemoryContent]:
    """Make an index of images, and give where everything is."""
    entries = ",".join(desc.encode() for desc in [*(i.descriptor for i in images), *extra])
    raw = f'{{"schemaVersion":2,"mediaType":"{mediatype.OCI_INDEX}","manifests":[{entries}]}}'
    blobs = [blob for image in images for blob in image.blobs]
    return Descriptor.of(raw.encode(), mediatype.OCI_INDEX), MemoryContent([*blobs, raw.encode()])
