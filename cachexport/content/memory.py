"""Content in memory, for blobs that a program just made."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from cachexport.content.protocols import Info
from cachexport.errors import NotFound
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cachexport.content.protocols import Reader
    from cachexport.oci.descriptor import Descriptor


class MemoryContent:
    """A provider and ingester over a dictionary."""

    def __init__(self, blobs: Iterable[bytes] = ()) -> None:
        self._blobs = {Digest.of(blob): blob for blob in blobs}

    def open(self, desc: Descriptor, /) -> Reader:
        """See Provider."""
        return io.BytesIO(self._get(desc.digest))

    def info(self, digest: Digest, /) -> Info:
        """See InfoProvider."""
        return Info(digest, len(self._get(digest)))

    def missing(self, descs: Iterable[Descriptor], /) -> set[Digest]:
        """See Ingester."""
        return {desc.digest for desc in descs if desc.digest not in self._blobs}

    def ingest(self, desc: Descriptor, reader: Reader, /) -> None:
        """See Ingester."""
        self._blobs[desc.digest] = b"".join(iter(lambda: reader.read(1 << 20), b""))

    def _get(self, digest: Digest) -> bytes:
        try:
            return self._blobs[digest]
        except KeyError:
            raise NotFound(f"blob {digest} is not there") from None
