"""Diff IDs in descriptors of layers. BuildKit imports no layer without one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cachexport.content.parallel import map_parallel
from cachexport.oci import mediatype
from cachexport.oci.descriptor import UNCOMPRESSED, Descriptor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cachexport.content.protocols import Provider
    from cachexport.oci.digest import Digest


def with_diff_ids(descs: Iterable[Descriptor], provider: Provider) -> dict[Digest, Descriptor]:
    """Give each descriptor, by digest, with its diff ID.

    If the descriptor of a compressed layer lacks it, the layer is read. Raises NotFound, Integrity
    or TransferError if that fails.
    """
    from cachexport.content.layers.convert import diff_id

    def complete(desc: Descriptor) -> Descriptor:
        plain = desc.media_type == mediatype.OCI_LAYER
        content = desc.digest if plain else diff_id(provider, desc)
        return replace(desc, annotations={**desc.annotations, UNCOMPRESSED: content})

    told = {desc.digest: desc for desc in descs}
    untold = [desc for desc in told.values() if UNCOMPRESSED not in desc.annotations]
    return told | {desc.digest: desc for desc in map_parallel(complete, untold)}
