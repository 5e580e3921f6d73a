"""BuildKit's cache config v0 on the wire: what is in it, and its bytes in both directions."""

from cachexport.model.config.decode import decode, decode_records
from cachexport.model.config.model import (
    CacheConfig,
    CacheInput,
    CacheLayer,
    CacheRecord,
    CacheResult,
    ChainedResult,
    LayerAnnotations,
    encode,
    encode_records,
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
