"""The graph of what a build did: records, what they depend on, and the layers that came out."""

from cachexport.model.chains.chains import CacheChains
from cachexport.model.chains.record import BlobSource, CacheLink, CacheRecord, CacheResult, Remote

__all__ = [
    "BlobSource",
    "CacheChains",
    "CacheLink",
    "CacheRecord",
    "CacheResult",
    "Remote",
]
