"""Small caches for tests of places: stacks of layers that several of them share."""

from __future__ import annotations

import gzip
import io
import tarfile
from functools import cache
from typing import TYPE_CHECKING

from cachexport import (
    CacheChains,
    CacheLink,
    CacheResult,
    Descriptor,
    Digest,
    MemoryContent,
    Remote,
)
from cachexport.contract.export import CommonExport
from cachexport.oci import mediatype
from cachexport.oci.descriptor import UNCOMPRESSED
from cachexport.oci.timestamp import Timestamp
from cachexport.transfer.prepare import prepare_chains

if TYPE_CHECKING:
    from cachexport.model.envelope.cache import WrappedCache

BEGIN = Timestamp.parse("2026-01-01T00:00:00Z").seconds


@cache
def layer(number: int) -> tuple[bytes, Descriptor]:
    """Give a real layer, gzip of a tar with one file, and its descriptor."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        content = f"layer {number}\n".encode() * (number + 1)
        member = tarfile.TarInfo(f"file-{number}")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    plain = raw.getvalue()
    blob = gzip.compress(plain, mtime=0)
    desc = Descriptor.of(blob, mediatype.OCI_LAYER_GZIP)
    annotations = {UNCOMPRESSED: str(Digest.of(plain))}
    return blob, Descriptor(
        media_type=desc.media_type, digest=desc.digest, size=desc.size, annotations=annotations
    )


def small_chains(*numbers: int, seconds: int = 0) -> CacheChains:
    """Give a graph of one step after another, each of which put one layer on top.

    `seconds` after BEGIN is when the first was made; each takes one.
    """
    chains = CacheChains()
    content = MemoryContent(layer(number)[0] for number in numbers)
    above = chains.add(str(Digest.of(b"base")))
    stack: list[Descriptor] = []
    for position, number in enumerate(numbers):
        stack.append(layer(number)[1])
        made = Timestamp(BEGIN + seconds + position)
        above = chains.add(
            str(Digest.of(f"step {number}".encode())),
            deps=[[CacheLink(above)]],
            results=[CacheResult(made, Remote(stack, content))],
        )
    return chains


def small_cache(*numbers: int, seconds: int = 0) -> WrappedCache:
    """Give such a graph as a cache that can be written."""
    return prepare_chains(small_chains(*numbers, seconds=seconds), CommonExport())
