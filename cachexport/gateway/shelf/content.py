"""Reading blobs from the first of several places that has them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.protocols import Info, RangedProvider
from cachexport.content.verify import BLOCK
from cachexport.gateway.shelf.source import first

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachexport.content.protocols import Reader
    from cachexport.contract.place import Content
    from cachexport.gateway.shelf.recent import Recent
    from cachexport.gateway.shelf.source import Source
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Layered:
    """A Content, and a RangedProvider, over what was made here and then over sources, in order."""

    recent: Recent
    sources: Sequence[Source]

    def info(self, digest: Digest, /) -> Info:
        """See InfoProvider."""
        made = self.recent.get(digest)
        if made is not None:
            return Info(digest, len(made))
        return first(
            self.sources, lambda source: source.place.content.info(digest), f"blob {digest}"
        )

    def open(self, desc: Descriptor, /) -> Reader:
        """See Provider."""
        return self.open_from(desc, 0)

    def open_from(self, desc: Descriptor, start: int, /) -> Reader:
        """See RangedProvider."""
        made = self.recent.get(desc.digest)
        if made is not None:
            return io.BytesIO(made[start:])
        what = f"blob {desc.digest}"
        return first(self.sources, lambda source: _opened(source.place.content, desc, start), what)


def _opened(place: Content, desc: Descriptor, start: int) -> Reader:
    if isinstance(place, RangedProvider):
        return place.open_from(desc, start)
    reader = place.open(desc)
    while start and (block := reader.read(min(start, BLOCK))):
        start -= len(block)
    return reader
