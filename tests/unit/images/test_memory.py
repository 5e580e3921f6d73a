from __future__ import annotations

import functools
import io
import tracemalloc
from typing import TYPE_CHECKING

from cachexport.content.memory import MemoryContent
from cachexport.images import write_docker_archive
from cachexport.model.envelope.manifest import (
    Form,
    encode_manifest,
)
from cachexport.oci import mediatype
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from cachexport.content.protocols import Reader


class Zeros:
    """A provider of one layer of zeros, which are nowhere in memory."""

    def __init__(self, size: int, small: MemoryContent) -> None:
        self.size, self._small = size, small

    def open(self, desc: Descriptor, /) -> Reader:
        if desc.size != self.size:
            return self._small.open(desc)
        left = [self.size]

        class Stream(io.RawIOBase):
            def read(self, size: int = -1, /) -> bytes:
                left[0] -= (taken := min(size, left[0]))
                return bytes(taken)

        return Stream()


class Nowhere:
    """A target that counts."""

    size = 0

    def write(self, data: bytes, /) -> None:
        self.size += len(data)


@functools.cache
def digest_of_zeros(size: int) -> Digest:
    hasher = Digest.of(b"").hasher()
    for _ in range(size >> 20):
        hasher.update(bytes(1 << 20))
    return Digest.from_hasher(hasher)


def test_a_large_layer_needs_little_memory() -> None:
    size = 128 << 20
    layer = Descriptor(media_type=mediatype.OCI_LAYER, digest=digest_of_zeros(size), size=size)
    config = Descriptor.of(b"{}", mediatype.OCI_CONFIG)
    raw = encode_manifest(Form.IMAGE_MANIFEST, [layer], config)
    provider, target = Zeros(size, MemoryContent([b"{}", raw])), Nowhere()
    tracemalloc.start()
    try:
        write_docker_archive(target, provider, Descriptor.of(raw, mediatype.OCI_MANIFEST))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert target.size > size
    assert peak < 4 << 20
