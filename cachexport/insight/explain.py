"""One record of a cache: its inputs, its results, and why an import would not use it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from cachexport.errors import InvalidInputError
from cachexport.insight.inspect import Record, Result, inspect_cache
from cachexport.model.config.model import NO_PARENT
from cachexport.model.envelope.cache import WrappedCache
from cachexport.model.envelope.manifest import (
    IMPORT_LIMIT,
)
from cachexport.oci import mediatype
from cachexport.upkeep.verify import stored_sizes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cachexport.insight.inspect import Inspection, Layer
    from cachexport.model.envelope.cache import Cache
    from cachexport.oci.digest import Digest
    from cachexport.oci.timestamp import Timestamp

_SHOWN = 10
"""How many digests an error lists."""


class Hindrance(StrEnum):
    """What keeps an import from using a record."""

    DEAD = "dead"
    """Neither the record nor anything that depends on it has a result."""
    OVERSIZE = "oversize"
    """Config or manifest is larger than what BuildKit imports."""
    MISSING = "missing"
    WRONG_SIZE = "wrong-size"
    UNDESCRIBED = "undescribed"
    """The manifest does not describe a layer."""
    NO_DIFF_ID = "no-diff-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """One reason why an import would not use a record."""

    kind: Hindrance
    text: str
    blob: str = ""
    """The layer, if the obstacle is one of a layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Another record, seen from the one that is explained."""

    number: int
    """Its position, as `inspect` counts."""
    digest: str
    selector: str = ""
    """The part that is read, if not all; for a link between both."""
    index: int = 0
    """The input of the link, counted from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedLayer:
    """A layer of a result. Without a descriptor it has no size and no type."""

    blob: str
    size: int | None
    media_type: str
    description: str
    obstacle: Obstacle | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedResult:
    """A result with all its layers, bottom first."""

    created_at: Timestamp | None
    layers: tuple[ExplainedLayer, ...]
    counts: bool
    """Whether it is the newest, the only one that BuildKit uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One record."""

    number: int
    digest: str
    inputs: tuple[tuple[Node, ...], ...]
    """Per input the alternatives."""
    path: tuple[Node, ...]
    """From a root, along first inputs, to the record itself."""
    ancestors: int
    """How many records it depends on, directly or not."""
    results: tuple[ExplainedResult, ...]
    children: tuple[Node, ...]
    """The records that depend on it directly."""
    descendants: int
    results_below: int
    """How many of the descendants have a result."""
    obstacles: tuple[Obstacle, ...]

    @property
    def is_usable(self) -> bool:
        """Whether an import would use it."""
        return not self.obstacles


def explain_record(caches: Sequence[Cache], digest: str) -> list[Explanation]:
    """Explain every record of a digest; its first hex digits are enough.

    Raises InvalidInputError when no digest begins so, or several do, which it lists; WireFormat or
    Loop when the records are no graph.
    """
    inspections = [inspect_cache(cache) for cache in caches]
    meant = _meant([r.digest for item in inspections for r in item.records], digest)
    explained = []
    for cache, inspection in zip(caches, inspections, strict=True):
        numbers = [n for n, record in enumerate(inspection.records) if record.digest == meant]
        sizes = stored_sizes(cache.provider, _blobs(inspection, numbers))
        # BuildKit has no size limit for names in buckets.
        is_object = isinstance(cache, WrappedCache) and cache.named is not None
        explaining = _Explaining(inspection, _Graph(inspection), sizes, is_object)
        explained += [explaining.explain(number) for number in numbers]
    return explained


def _blobs(inspection: Inspection, numbers: Iterable[int]) -> set[Digest]:
    """Give the blobs of all layers that the results of these records need."""
    results = (result for number in numbers for result in inspection.records[number].results)
    layers = (
        inspection.layers[layer] for result in results for layer in _stack(inspection, result)
    )
    return {layer.descriptor.digest for layer in layers if layer.descriptor}


def _stack(inspection: Inspection, result: Result) -> list[int]:
    """Give the layers of a result, bottom first."""
    if result.chain is not None:
        return list(result.chain)
    stack: list[int] = []
    layer = result.top
    while layer is not None and layer != NO_PARENT and len(stack) < result.depth:
        stack.append(layer)
        layer = inspection.layers[layer].parent
    return stack[::-1]


def _meant(digests: Iterable[str], prefix: str) -> str:
    wanted = prefix.lower()
    found = sorted({d for d in digests if wanted in (d, *_beginnings(d, len(wanted)))})
    if len(found) == 1:
        return found[0]
    if not found:
        raise InvalidInputError(
            f"no record has a digest that begins with {prefix!r}; "
            "`cachexport inspect --limit 0` lists them"
        )
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    listed = ", ".join(found[:_SHOWN])
    raise InvalidInputError(f"{len(found)} digests begin with {prefix!r}: {listed}{more}")


def _beginnings(digest: str, length: int) -> tuple[str, str]:
    return digest[:length], digest.partition(":")[2][:length]


class _Graph:
    """The parents and children of each record."""

    def __init__(self, inspection: Inspection) -> None:
        self.parents = [
            [link.link for links in record.inputs for link in links]
            for record in inspection.records
        ]
        self.children: list[list[int]] = [[] for _ in inspection.records]
        for number, links in enumerate(self.parents):
            for link in dict.fromkeys(links):
                self.children[link].append(number)


def _reached(start: int, edges: Sequence[Sequence[int]]) -> set[int]:
    seen: set[int] = set()
    pending = [start]
    while pending:
        fresh = set(edges[pending.pop()]) - seen
        seen |= fresh
        pending += fresh
    return seen


@dataclass(frozen=True, slots=True)
class _Explaining:
    inspection: Inspection
    graph: _Graph
    sizes: Mapping[Digest, int]
    is_object: bool

    def explain(self, number: int) -> Explanation:
        record = self.inspection.records[number]
        below = _reached(number, self.graph.children)
        with_results = sum(bool(self.inspection.records[each].results) for each in below)
        results = tuple(self._result(result, record) for result in record.results)
        return Explanation(
            number=number,
            digest=record.digest,
            inputs=tuple(self._inputs(record)),
            path=tuple(self._path(number)),
            ancestors=len(_reached(number, self.graph.parents)),
            results=results,
            children=tuple(self._children(number)),
            descendants=len(below),
            results_below=with_results,
            obstacles=tuple(self._obstacles(results, with_results)),
        )

    def _node(self, number: int, selector: str = "", index: int = 0) -> Node:
        digest = self.inspection.records[number].digest
        return Node(number=number, digest=digest, selector=selector, index=index)

    def _inputs(self, record: Record) -> Iterator[tuple[Node, ...]]:
        for index, links in enumerate(record.inputs):
            yield tuple(self._node(link.link, link.selector, index) for link in links)

    def _path(self, number: int) -> list[Node]:
        path = [self._node(number)]
        while inputs := self.inspection.records[path[-1].number].inputs:
            link = inputs[0][0]
            path.append(self._node(link.link, link.selector))
        return path[::-1]

    def _children(self, number: int) -> Iterator[Node]:
        for child in self.graph.children[number]:
            for index, links in enumerate(self.inspection.records[child].inputs):
                for link in links:
                    if link.link == number:
                        yield self._node(child, link.selector, index)

    def _result(self, result: Result, record: Record) -> ExplainedResult:
        return ExplainedResult(
            created_at=result.created_at,
            layers=tuple(
                self._layer(self.inspection.layers[n]) for n in _stack(self.inspection, result)
            ),
            counts=result is record.newest,
        )

    def _layer(self, layer: Layer) -> ExplainedLayer:
        return ExplainedLayer(
            blob=layer.blob,
            size=layer.size,
            media_type=layer.descriptor.media_type if layer.descriptor else "",
            description=layer.description,
            obstacle=self._blob_obstacle(layer),
        )

    def _blob_obstacle(self, layer: Layer) -> Obstacle | None:
        desc = layer.descriptor
        if desc is None:
            text = "the manifest does not describe it"
            return Obstacle(kind=Hindrance.UNDESCRIBED, text=text, blob=layer.blob)
        size = self.sizes.get(desc.digest)
        if size is None:
            text = "it is not there"
            return Obstacle(kind=Hindrance.MISSING, text=text, blob=layer.blob)
        if size != desc.size:
            text = f"it has {size:,} bytes, wanted {desc.size:,}"
            return Obstacle(kind=Hindrance.WRONG_SIZE, text=text, blob=layer.blob)
        if desc.diff_id is None and desc.media_type != mediatype.OCI_LAYER:
            text = "its descriptor does not tell the diff ID"
            return Obstacle(kind=Hindrance.NO_DIFF_ID, text=text, blob=layer.blob)
        return None

    def _obstacles(
        self, results: Sequence[ExplainedResult], results_below: int
    ) -> Iterator[Obstacle]:
        documents = () if self.is_object else (self.inspection.config, self.inspection.manifest)
        for document in documents:
            if document is not None and document.size > IMPORT_LIMIT:
                text = f"the {document.kind} has {document.size:,} bytes, BuildKit imports "
                yield Obstacle(kind=Hindrance.OVERSIZE, text=f"{text}{IMPORT_LIMIT:,} at most")
        if not results and not results_below:
            text = "neither it nor anything that depends on it has a result"
            yield Obstacle(kind=Hindrance.DEAD, text=text)
        for result in results:
            if result.counts:
                yield from (layer.obstacle for layer in result.layers if layer.obstacle)
