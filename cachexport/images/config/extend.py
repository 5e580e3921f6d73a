"""Configs of images that have more layers than the image that they are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.images.config.config import diff_id_of, patch_config
from cachexport.images.config.history import normalise_history, parse_history
from cachexport.model.envelope.inline import KEY
from cachexport.oci import rawjson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachexport.images.config.history import HistoryEntry
    from cachexport.oci.descriptor import Descriptor


def extend_config(
    config: bytes,
    below: Sequence[Descriptor],
    layers: Sequence[Descriptor],
    entries: Sequence[HistoryEntry],
    inline_cache: bytes | None = None,
) -> bytes:
    """Give the config of an image with `layers` that was made of one with the layers `below`.

    `config` is that one's, its settings changed or not, and `entries` say what was done since.
    The image was made when the last of them was, if that tells; an inline cache in `config` is of
    another image, and goes then. Raises WireFormat, and InvalidInputError for a layer that does
    not tell its diff ID.
    """
    before = normalise_history(parse_history(config), below) or ()
    if entries:
        members = rawjson.loads(config)
        members.pop(KEY, None)
        if entries[-1].created is not None:
            members.pop("created", None)
        config = rawjson.dumps(members)
    return patch_config(
        config,
        diff_ids=[diff_id_of(layer) for layer in layers],
        history=normalise_history((*before, *entries), layers),
        inline_cache=inline_cache,
    )
