"""Layers of images, with what only the config tells of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from cachexport.errors import InvalidDigest, WireFormat
from cachexport.images.config.config import read_diff_ids
from cachexport.oci.descriptor import UNCOMPRESSED
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from cachexport.images.select import Image
    from cachexport.oci.descriptor import Descriptor


def told_layers(image: Image, config: bytes) -> tuple[Descriptor, ...]:
    """Give an image's layers, bottom first, with the diff IDs that its config names.

    Raises WireFormat for a config that is none, or is of other layers.
    """
    diff_ids = read_diff_ids(config)
    if len(diff_ids) != len(image.layers):
        raise WireFormat(
            f"the config {image.config.digest} tells of {len(diff_ids)} layers, "
            f"the manifest {image.descriptor.digest} of {len(image.layers)}",
        )
    found = map(_digest, range(len(diff_ids)), diff_ids)
    return tuple(
        dataclasses.replace(layer, annotations={**layer.annotations, UNCOMPRESSED: diff_id})
        for layer, diff_id in zip(image.layers, found, strict=True)
    )


def _digest(number: int, text: str) -> Digest:
    try:
        return Digest.parse(text)
    except InvalidDigest as error:
        raise WireFormat(str(error), f"rootfs.diff_ids[{number}]") from error
