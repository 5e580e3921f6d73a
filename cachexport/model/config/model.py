"""The cache config v0: its fields in the order of the wire format, and its bytes as Go writes them.

The numbers in it are positions: `parent` and `layer` in `CacheConfig.layers`, `link` in
`CacheConfig.records`. Digests are plain text here, since BuildKit reads a config whatever stands
in them; they are checked where something is done with what they name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from cachexport.oci import gojson
from cachexport.oci.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable


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
        from cachexport.model.config.model import encode

        return encode(self)


# Digests and selectors recur, and few of them need escaping; asking once is enough.
_quote = lru_cache(maxsize=1 << 14)(gojson.quote)


def encode(config: CacheConfig) -> bytes:
    """Give the config's bytes: no spaces, no empty fields, no newline at the end."""
    members = []
    if config.layers:
        members.append(f'"layers":[{",".join(map(_layer, config.layers))}]')
    if config.records:
        members.append(f'"records":{_records(config.records)}')
    return ("{" + ",".join(members) + "}").encode()


def encode_records(records: Iterable[CacheRecord]) -> bytes:
    """Give the bytes of the array of records alone, as an image with an inline cache has it."""
    return _records(records).encode()


def _records(records: Iterable[CacheRecord]) -> str:
    return f"[{','.join(map(_record, records))}]"


def _layer(layer: CacheLayer) -> str:
    members = []
    if layer.blob:
        members.append(f'"blob":{_quote(layer.blob)}')
    if layer.parent:
        members.append(f'"parent":{layer.parent}')
    if layer.annotations is not None:
        members.append(f'"annotations":{_annotations(layer.annotations)}')
    return "{" + ",".join(members) + "}"


def _annotations(annotations: LayerAnnotations) -> str:
    members = []
    if annotations.media_type:
        members.append(f'"mediaType":{_quote(annotations.media_type)}')
    if annotations.diff_id:
        members.append(f'"diffID":{_quote(annotations.diff_id)}')
    if annotations.size:
        members.append(f'"size":{annotations.size}')
    members.append(f'"createdAt":"{annotations.created_at}"')
    return "{" + ",".join(members) + "}"


def _record(record: CacheRecord) -> str:
    members = []
    if record.results:
        members.append(f'"layers":[{",".join(map(_result, record.results))}]')
    if record.chained_results:
        members.append(f'"chains":[{",".join(map(_chained_result, record.chained_results))}]')
    if record.digest:
        members.append(f'"digest":{_quote(record.digest)}')
    if record.inputs:
        inputs = ",".join(f"[{','.join(map(_input, links))}]" for links in record.inputs)
        members.append(f'"inputs":[{inputs}]')
    return "{" + ",".join(members) + "}"


def _result(result: CacheResult) -> str:
    return f'{{"layer":{result.layer},"createdAt":"{result.created_at}"}}'


def _chained_result(result: ChainedResult) -> str:
    layers = ",".join(map(str, result.layers))
    return f'{{"layers":[{layers}],"createdAt":"{result.created_at}"}}'


def _input(link: CacheInput) -> str:
    if not link.selector:
        return f'{{"link":{link.link}}}'
    return f'{{"selector":{_quote(link.selector)},"link":{link.link}}}'
