"""Caches to measure with."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from cachexport import (
    CacheChains,
    CacheLink,
    CacheResult,
    Descriptor,
    Digest,
    MemoryContent,
    Remote,
    Timestamp,
    export_cache,
)

if TYPE_CHECKING:
    from pathlib import Path

LAYER = "application/vnd.oci.image.layer.v1.tar"


def make_caches(cache: Path, grown: Path, layers: int, size: int) -> None:
    """Write a cache of layers that cannot be compressed, and the same with one more on top."""
    chains = CacheChains()
    record = remote = None
    for number in range(layers + 1):
        if number == layers:
            export_cache(chains, f"type=local,dest={cache}")
            shutil.copytree(cache, grown, copy_function=os.link)
        blob = os.urandom(size)
        desc = Descriptor.of(blob, LAYER)
        content = MemoryContent([blob])
        remote = remote.stack(desc, content) if remote else Remote([desc], content)
        links = [[CacheLink(record)]] if record else []
        made = CacheResult(Timestamp(number), remote)
        record = chains.add(Digest.of(b"%d" % number), links, [made])
    export_cache(chains, f"type=local,dest={grown}")
