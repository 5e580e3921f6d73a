"""Reading blobs from the first of several places that has them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.protocols import Info, RangedProvider
from cachexport.content.verify import BLOCK
from cachexport.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachexport.content.protocols import Reader
    from cachexport.gateway.recent import Recent
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest
    from cachexport.transfer.place import Content


@dataclass(frozen=True, slots=True)
class Layered:
    """A Content, and a RangedProvider, over what was made here and then over places, in order."""

    recent: Recent
    places: Sequence[Content]

    def info(self, digest: Digest, /) -> Info:
        """See InfoProvider."""
        made = self.recent.get(digest)
        if made is not None:
            return Info(digest, len(made))
        for place in self.places:
            try:
                return place.info(digest)
            except NotFound:
                continue
        raise NotFound(f"there is no blob {digest}")

    def open(self, desc: Descriptor, /) -> Reader:
        """See Provider."""
        return self.open_from(desc, 0)

    def open_from(self, desc: Descriptor, start: int, /) -> Reader:
        """See RangedProvider."""
        made = self.recent.get(desc.digest)
        if made is not None:
            return io.BytesIO(made[start:])
        for place in self.places:
            try:
                return _opened(place, desc, start)
            except NotFound:
                continue
        raise NotFound(f"there is no blob {desc.digest}")


def _opened(place: Content, desc: Descriptor, start: int) -> Reader:
    if isinstance(place, RangedProvider):
        return place.open_from(desc, start)
    reader = place.open(desc)
    while start and (block := reader.read(min(start, BLOCK))):
        start -= len(block)
    return reader
