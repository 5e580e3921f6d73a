"""What is in a cache, as numbers and tables; nothing is printed here and no layer is read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.model.chains import CacheChains
from cachexport.model.chains.tie import untied
from cachexport.model.config.model import NO_PARENT
from cachexport.model.envelope.cache import WrappedCache
from cachexport.model.envelope.manifest import (
    IMPORT_LIMIT,
    size_note,
)
from cachexport.oci.compression import Compression
from cachexport.oci.descriptor import DESCRIPTION
from cachexport.oci.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cachexport.model.config import CacheConfig, CacheInput, CacheRecord
    from cachexport.model.envelope.cache import Cache
    from cachexport.model.envelope.manifest import (
        Form,
    )
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A manifest or a config as it is stored; `size` is in bytes."""

    kind: str
    media_type: str
    digest: Digest
    size: int

    @property
    def share(self) -> float:
        """The size as a fraction of what BuildKit imports: above 1 it refuses."""
        return self.size / IMPORT_LIMIT

    @property
    def note(self) -> str | None:
        """A sentence about the size; None when that is no concern."""
        return size_note(self.kind, self.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer of the config. Without a descriptor it has no size and cannot be used."""

    blob: str
    parent: int
    """The position of the layer below in `Inspection.layers`; -1 for none."""
    descriptor: Descriptor | None

    @property
    def size(self) -> int | None:
        """The blob's size in bytes."""
        return None if self.descriptor is None else self.descriptor.size

    @property
    def description(self) -> str:
        """The build step that made the layer, if the descriptor says; else empty."""
        return "" if self.descriptor is None else self.descriptor.annotations.get(DESCRIPTION, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A result of a record: a stack of layers."""

    created_at: Timestamp | None
    """None where the cache does not say, as inline caches may."""
    top: int | None
    """The position of the top layer in `Inspection.layers`; None in an empty chain."""
    depth: int
    """How many layers are stacked."""
    chain: tuple[int, ...] | None = None
    """The layers, bottom first, of a result that lists them instead of naming the top one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One step of the build."""

    digest: str
    inputs: tuple[tuple[CacheInput, ...], ...]
    """Per input the alternatives; their links are positions in `Inspection.records`."""
    results: tuple[Result, ...]

    @property
    def newest(self) -> Result | None:
        """The result that counts."""
        return max(self.results, key=lambda item: item.created_at or Timestamp.ZERO, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobKind:
    """How many distinct blobs have a media type, and their bytes."""

    media_type: str
    compression: Compression | None
    blobs: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What one cache holds. An inline cache has no form, manifest or config of its own."""

    form: Form | None
    manifest: Document | None
    config: Document | None
    records: tuple[Record, ...]
    layers: tuple[Layer, ...]
    kinds: tuple[BlobKind, ...]

    @property
    def results(self) -> int:
        """How many results all records have together."""
        return sum(len(record.results) for record in self.records)

    @property
    def blobs(self) -> int:
        """How many distinct blobs there are."""
        return sum(kind.blobs for kind in self.kinds)

    @property
    def size(self) -> int:
        """Bytes of all distinct blobs."""
        return sum(kind.size for kind in self.kinds)

    @property
    def oldest(self) -> Timestamp | None:
        """When the oldest result was made."""
        return min(self._times(), default=None)

    @property
    def newest(self) -> Timestamp | None:
        """When the newest result was made."""
        return max(self._times(), default=None)

    @property
    def notes(self) -> tuple[str, ...]:
        """What somebody who uses this cache should know, in sentences."""
        documents = (self.manifest, self.config)
        notes = [document.note for document in documents if document and document.note]
        unknown = sum(layer.descriptor is None for layer in self.layers)
        if unknown:
            notes.append(f"{unknown} layers are not in the manifest: results with them are lost")
        return tuple(notes)

    def _times(self) -> list[Timestamp]:
        results = [result for record in self.records for result in record.results]
        return [result.created_at for result in results if result.created_at is not None]


def inspect_cache(cache: Cache) -> Inspection:
    """Say what is in a cache. Raises WireFormat or Loop when its records are no graph."""
    # Parsed only to raise: after this, every position is known to be valid.
    CacheChains.parse(cache.config, cache.layers, cache.provider)
    by_digest: dict[str, Descriptor] = {desc.digest: desc for desc in cache.layers}
    wrapped = cache.wrapped if isinstance(cache, WrappedCache) else None
    return Inspection(
        form=wrapped.form if wrapped else None,
        manifest=_document("manifest", wrapped.descriptor) if wrapped else None,
        config=_document("config", wrapped.config_descriptor) if wrapped else None,
        records=_records(untied(cache.config)),
        layers=_layers(cache.config, by_digest),
        kinds=_kinds(list(by_digest.values())),
    )


def _document(kind: str, desc: Descriptor) -> Document:
    return Document(kind=kind, media_type=desc.media_type, digest=desc.digest, size=desc.size)


def _layers(config: CacheConfig, by_digest: Mapping[str, Descriptor]) -> tuple[Layer, ...]:
    return tuple(
        Layer(blob=layer.blob, parent=layer.parent, descriptor=by_digest.get(layer.blob))
        for layer in config.layers
    )


def _kinds(descs: Sequence[Descriptor]) -> tuple[BlobKind, ...]:
    blobs: Counter[str] = Counter(desc.media_type for desc in descs)
    sizes: Counter[str] = Counter()
    for desc in descs:
        sizes[desc.media_type] += desc.size
    return tuple(
        BlobKind(
            media_type=media_type,
            compression=Compression.of(media_type),
            blobs=blobs[media_type],
            size=sizes[media_type],
        )
        for media_type in sorted(blobs)
    )


def _records(config: CacheConfig) -> tuple[Record, ...]:
    depths = _Depths([layer.parent for layer in config.layers])
    return tuple(
        Record(digest=record.digest, inputs=record.inputs, results=_results(record, depths))
        for record in config.records
    )


def _results(record: CacheRecord, depths: _Depths) -> tuple[Result, ...]:
    stacked = [
        Result(created_at=_time(item.created_at), top=item.layer, depth=depths.of(item.layer))
        for item in record.results
    ]
    chained = [
        Result(
            created_at=_time(item.created_at),
            top=item.layers[-1] if item.layers else None,
            depth=len(item.layers),
            chain=item.layers,
        )
        for item in record.chained_results
    ]
    return (*stacked, *chained)


def _time(created_at: Timestamp) -> Timestamp | None:
    return None if created_at == Timestamp.ZERO else created_at


class _Depths:
    """How many layers a stack has, by its top layer; each layer is visited once."""

    def __init__(self, parents: Sequence[int]) -> None:
        self._parents = parents
        self._known = {NO_PARENT: 0}

    def of(self, number: int) -> int:
        unknown: dict[int, None] = {}
        while number not in self._known and number not in unknown:
            unknown[number] = None
            number = self._parent(number)
        depth = self._known.get(number, 0)
        for layer in reversed(unknown):
            depth += 1
            self._known[layer] = depth
        return depth

    def _parent(self, number: int) -> int:
        # Parsing checks nothing below a layer without a descriptor: there may even be loops.
        parent = self._parents[number]
        return parent if 0 <= parent < len(self._parents) else NO_PARENT
