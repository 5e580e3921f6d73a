"""Telling of the parts of an image that move."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.content.progress import step
from cachexport.oci import mediatype

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from cachexport.content.copy import Moving
    from cachexport.content.progress import Progress
    from cachexport.oci.descriptor import Descriptor

_CONFIGS = (mediatype.OCI_CONFIG, mediatype.DOCKER_CONFIG)


def moving(doing: str, progress: Progress) -> Moving:
    """Give what reports for each part a step such as `copying layer sha256:…`."""

    def block(desc: Descriptor) -> AbstractContextManager[Callable[[int], None]]:
        kind = "config" if desc.media_type in _CONFIGS else "layer"
        return step(progress, f"{doing} {kind} {desc.digest}", desc.size)

    return block
