"""The graph of what a build did: records, what they depend on, and the layers that came out."""

from cachexport.chains.chains import CacheChains
from cachexport.chains.record import CacheLink, CacheRecord, CacheResult
from cachexport.chains.remote import BlobSource, Remote

__all__ = [
    "BlobSource",
    "CacheChains",
    "CacheLink",
    "CacheRecord",
    "CacheResult",
    "Remote",
]
