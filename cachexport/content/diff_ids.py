"""Making sure that every layer's descriptor tells its diff ID: BuildKit imports none without."""

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

    A compressed layer that does not tell it is read for it. Raises NotFound, Integrity or
    TransferError when it cannot be.
    """
    from cachexport.content.layers.convert import diff_id

    def complete(desc: Descriptor) -> Descriptor:
        plain = desc.media_type == mediatype.OCI_LAYER
        content = desc.digest if plain else diff_id(provider, desc)
        return replace(desc, annotations={**desc.annotations, UNCOMPRESSED: content})

    told = {desc.digest: desc for desc in descs}
    untold = [desc for desc in told.values() if UNCOMPRESSED not in desc.annotations]
    return told | {desc.digest: desc for desc in map_parallel(complete, untold)}
