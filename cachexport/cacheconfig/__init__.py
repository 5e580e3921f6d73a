"""BuildKit's cache config v0 on the wire: what is in it, and its bytes in both directions."""

from cachexport.cacheconfig.decode import decode, decode_records
from cachexport.cacheconfig.encode import encode, encode_records
from cachexport.cacheconfig.model import (
    CacheConfig,
    CacheInput,
    CacheLayer,
    CacheRecord,
    CacheResult,
    ChainedResult,
    LayerAnnotations,
)

__all__ = [
    "CacheConfig",
    "CacheInput",
    "CacheLayer",
    "CacheRecord",
    "CacheResult",
    "ChainedResult",
    "LayerAnnotations",
    "decode",
    "decode_records",
    "encode",
    "encode_records",
]
