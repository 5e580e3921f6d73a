"""Making of an image the same one in another compression or spelling."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cachexport.content.copy import ingest_bytes
from cachexport.content.layers.convert import convert_layer
from cachexport.content.parallel import map_parallel
from cachexport.content.progress import silent, step
from cachexport.images.layers import told_layers
from cachexport.images.manifest import change_manifest
from cachexport.images.select import read_config
from cachexport.oci import mediatype
from cachexport.oci.compression import Compression

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cachexport.content.progress import Progress
    from cachexport.content.protocols import Ingester, Provider
    from cachexport.images.select import Image
    from cachexport.oci.descriptor import Descriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """How an image is to be written; None means as it is."""

    compression: Compression | None = None
    """Of every layer."""
    level: int | None = None
    oci_mediatypes: bool | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    """To add to the manifest."""

    def __bool__(self) -> bool:
        return self != Changes()


def convert_image(
    provider: Provider,
    image: Image,
    target: Ingester,
    changes: Changes,
    progress: Progress = silent,
) -> Descriptor:
    """Put what changes of an image into `target`, and give the descriptor of its manifest.

    Layers that are compressed like this already, and the config, which stays as it is, are not
    put there. Raises as `convert_layer` does: Integrity, above all, for a layer that is not the
    one that the config tells of.
    """
    layers = list(told_layers(image, read_config(provider, image)))
    compression = changes.compression
    if compression is not None:

        def convert(desc: Descriptor) -> Descriptor:
            with step(progress, f"converting layer {desc.digest} to {compression}", desc.size) as m:
                return convert_layer(provider, desc, target, compression, changes.level, m)

        other = {desc.digest: desc for desc in layers if _differs(desc, compression)}
        new = dict(zip(other, map_parallel(convert, other.values()), strict=True))
        layers = [new.get(desc.digest, desc) for desc in layers]
    manifest, raw = change_manifest(
        image.manifest,
        layers,
        oci_mediatypes=changes.oci_mediatypes,
        annotations=changes.annotations,
    )
    ingest_bytes(target, manifest, raw)
    return manifest


def _differs(desc: Descriptor, compression: Compression) -> bool:
    is_foreign = mediatype.is_foreign(desc.media_type)
    return not is_foreign and Compression.of(desc.media_type) is not compression
