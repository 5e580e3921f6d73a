"""From the cache config to the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.errors import Loop, WireFormat
from cachexport.model.chains.record import BlobSource, CacheResult, Remote
from cachexport.model.chains.tie import untied
from cachexport.model.config.model import NO_PARENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from cachexport.model.chains.graph import Inputs
    from cachexport.model.chains.record import CacheRecord
    from cachexport.model.config.model import CacheConfig, ChainedResult
    from cachexport.model.config.model import CacheRecord as WrittenRecord

    Add = Callable[[str, Inputs, Sequence[CacheResult]], CacheRecord | None]


def parse(config: CacheConfig, sources: Mapping[str, BlobSource], add: Add) -> None:
    """Add every record of `config` through `add`, dependencies first; a tie is left out.

    Results with a layer that `sources` lacks are left out; their records stay. Raises WireFormat
    for a number that refers to nothing and for an input without links, Loop for records or layers
    that depend on themselves. As in BuildKit, layers that no record uses are not checked.
    """
    added: dict[int, CacheRecord | None] = {}
    layers = _Layers(config, sources)
    config = untied(config)
    for number in range(len(config.records)):
        for ready in _dependencies_first(config, number, added):
            written = config.records[ready]
            results = list(layers.results(written, ready))
            added[ready] = add(written.digest, _links(written, ready, added), results)


def _dependencies_first(
    config: CacheConfig, number: int, added: Mapping[int, object]
) -> Iterator[int]:
    if number in added:
        return
    if all(link in added for link in _numbers(config, number)):
        yield number
        return
    path = {number}
    stack = [(number, _numbers(config, number))]
    while stack:
        current, pending = stack[-1]
        needed = next((link for link in pending if link not in added), None)
        if needed is None:
            path.remove(current)
            stack.pop()
            yield current
        elif needed in path:
            raise Loop(f"records[{needed}] depends on itself, through records[{current}]")
        else:
            path.add(needed)
            stack.append((needed, _numbers(config, needed)))


def _numbers(config: CacheConfig, number: int) -> Iterator[int]:
    count = len(config.records)
    for index, links in enumerate(config.records[number].inputs):
        if not links:
            raise WireFormat("an input without links", f"records[{number}].inputs[{index}]")
        for position, link in enumerate(links):
            if not 0 <= link.link < count:
                path = f"records[{number}].inputs[{index}][{position}].link"
                raise WireFormat(f"no such record: {link.link}", path)
            yield link.link


def _links(written: WrittenRecord, number: int, added: Mapping[int, CacheRecord | None]) -> Inputs:
    inputs = []
    for written_links in written.inputs:
        links = []
        for link in written_links:
            src = added[link.link]
            if src is None:
                raise WireFormat("a link to a random: record", f"records[{number}].inputs")
            links.append((src, link.selector))
        inputs.append(links)
    return inputs


class _Layers:
    """The layers of a config as remotes. Layers with a common parent share its remote."""

    def __init__(self, config: CacheConfig, sources: Mapping[str, BlobSource]) -> None:
        self._layers = config.layers
        self._sources = sources
        self._remotes: dict[int, Remote | None] = {}

    def results(self, written: WrittenRecord, record: int) -> Iterator[CacheResult]:
        for position, result in enumerate(written.results):
            remote = self._remote(result.layer, record, position)
            if remote is not None:
                yield CacheResult(result.created_at, remote)
        for position, chained in enumerate(written.chained_results):
            remote = self._chained(chained, f"records[{record}].chains[{position}].layers")
            if remote is not None:
                yield CacheResult(chained.created_at, remote)

    def _remote(self, number: int, record: int, position: int) -> Remote | None:
        """Give the layer on its parents; None if one of their blobs has no source."""
        if number in self._remotes:
            return self._remotes[number]
        path = f"records[{record}].layers[{position}].layer"
        unknown: dict[int, None] = {}
        current = number
        while current not in self._remotes:
            if current in unknown:
                raise Loop(f"layers[{current}] is its own parent, reached from {path}")
            self._check(current, f"layers[{next(reversed(unknown))}].parent" if unknown else path)
            if self._layers[current].blob not in self._sources:
                self._remotes[current] = None
                break
            unknown[current] = None
            current = self._layers[current].parent
            if current == NO_PARENT:
                break
        self._stack_all(reversed(unknown), current)
        return self._remotes[number]

    def _stack_all(self, numbers: Iterable[int], bottom: int) -> None:
        below = None if bottom == NO_PARENT else self._remotes[bottom]
        whole = bottom == NO_PARENT or below is not None
        for number in numbers:
            source = self._sources[self._layers[number].blob]
            below = _stack(below, source) if whole else None
            self._remotes[number] = below

    def _chained(self, chained: ChainedResult, path: str) -> Remote | None:
        """Give the layers on each other; None if one has no source, or if there are none.

        BuildKit lets a chain without layers, which it never writes, hide an older result.
        """
        remote: Remote | None = None
        for position, number in enumerate(chained.layers):
            self._check(number, f"{path}[{position}]")
            source = self._sources.get(self._layers[number].blob)
            if source is None:
                return None
            remote = _stack(remote, source)
        return remote

    def _check(self, number: int, path: str) -> None:
        if not 0 <= number < len(self._layers):
            raise WireFormat(f"no such layer: {number}", path)


def _stack(below: Remote | None, source: BlobSource) -> Remote:
    if below is None:
        return Remote([source.descriptor], source.provider)
    return below.stack(source.descriptor, source.provider)
