"""The cache config as it is written: fields in the order of the wire format.

The numbers in it are positions: `parent` and `layer` in `CacheConfig.layers`, `link` in
`CacheConfig.records`. Digests are plain text here, since BuildKit reads a config whatever stands
in them; they are checked where something is done with what they name.
"""

from __future__ import annotations

from dataclasses import dataclass

from cachexport.oci.timestamp import Timestamp

NO_PARENT = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerAnnotations:
    """What a descriptor would say of a layer; in buckets only, which have no manifest."""

    media_type: str = ""
    diff_id: str = ""
    size: int = 0
    created_at: Timestamp = Timestamp.ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheLayer:
    """A layer on top of another one, or on nothing."""

    blob: str = ""
    parent: int = 0  # Go drops a zero: an absent parent is the first layer, none is -1
    annotations: LayerAnnotations | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheResult:
    """What a record gave: a layer with all its parents."""

    layer: int = 0
    created_at: Timestamp = Timestamp.ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainedResult:
    """What a record gave: explicit layers, bottom first, their parents not counted."""

    layers: tuple[int, ...] = ()
    created_at: Timestamp = Timestamp.ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheInput:
    """One record that can stand at an input, and which part of what it gave is read."""

    selector: str = ""
    link: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRecord:
    """One thing done in a build: its digest, its inputs (each with alternatives), its results."""

    results: tuple[CacheResult, ...] = ()
    chained_results: tuple[ChainedResult, ...] = ()
    digest: str = ""
    inputs: tuple[tuple[CacheInput, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheConfig:
    """All layers and all records of a cache."""

    layers: tuple[CacheLayer, ...] = ()
    records: tuple[CacheRecord, ...] = ()

    def encode(self) -> bytes:
        """Give the config's bytes, the very ones that BuildKit writes for it."""
        from cachexport.model.config.encode import encode

        return encode(self)
