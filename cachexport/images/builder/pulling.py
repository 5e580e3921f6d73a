"""When an image is pulled, and what pulls it."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cachexport.images.store import Image
    from cachexport.oci.descriptor import Platform
    from cachexport.oci.reference import Reference


class PullPolicy(enum.Enum):
    """When a registry is asked for an image."""

    MISSING = "missing"
    """When the store has none of that name for the platform."""
    ALWAYS = "always"
    NEVER = "never"


class Puller(Protocol):
    """Brings images into a store."""

    def pull(self, reference: Reference, platform: Platform | None, lease: str, /) -> Image:
        """Copy the image for `platform`, or all of an index, and name it as `reference` does.

        The lease holds it meanwhile. Raises NotFound when there is no such image.
        """
