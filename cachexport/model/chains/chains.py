"""CacheChains: the graph as programs use it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Self

from cachexport.errors import ForeignRecord, InvalidInputError
from cachexport.model import config as cacheconfig
from cachexport.model.chains import graph, marshal, parse
from cachexport.model.chains.blobs import MergedBlobs
from cachexport.model.chains.graph import without_collections
from cachexport.model.chains.record import BlobSource, CacheLink, CacheRecord, CacheResult
from cachexport.model.chains.tie import is_tied
from cachexport.oci import gojson
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from cachexport.content.protocols import Provider
    from cachexport.model.config import CacheConfig
    from cachexport.oci.descriptor import Descriptor

_RANDOM = "random:"


class CacheChains:
    """A graph of records. Add what a build did, then marshal it; or parse what was marshalled.

    One thread at a time. Time and memory grow with the number of records, links and layers, not
    with the depth of the graph.
    """

    def __init__(self) -> None:
        self._roots: dict[str, CacheRecord] = {}
        self._records: list[CacheRecord] = []
        self._blobs = MergedBlobs()
        self.merged = False
        """Whether this was merged from several caches, by us now or by whoever wrote them.

        May be set, so that one cache is written as if it had been merged; see `marshal`.
        """

    @classmethod
    def parse(
        cls,
        config: bytes | CacheConfig,
        descriptors: Mapping[Digest, BlobSource] | Iterable[Descriptor],
        provider: Provider | None = None,
    ) -> Self:
        """Give the graph that a cache config describes; see `merge`."""
        chains = cls()
        chains.merge(config, descriptors, provider)
        return chains

    def merge(
        self,
        config: bytes | CacheConfig,
        descriptors: Mapping[Digest, BlobSource] | Iterable[Descriptor],
        provider: Provider | None = None,
    ) -> list[tuple[CacheRecord, Sequence[CacheResult]]]:
        """Add everything that a cache config describes.

        `descriptors` describe the layers: a mapping as `marshal` gives it, or descriptors alone,
        with the `provider` of their blobs. Results with a layer that has no descriptor are left
        out. Gives, for each record of the config, the record of this graph and the results that
        came with it. Raises WireFormat or Loop; then nothing or a part was added.
        """
        became: list[tuple[CacheRecord, Sequence[CacheResult]]] = []

        def add(
            digest: str, inputs: graph.Inputs, results: Sequence[CacheResult]
        ) -> CacheRecord | None:
            record = self._add(digest, inputs, results)
            if record is not None:
                became.append((record, results))
            return record

        with without_collections():
            model = cacheconfig.decode(config) if isinstance(config, bytes) else config
            self.merged = self.merged or bool(self._records) or is_tied(model)
            sources = _sources(descriptors, provider)
            self._blobs.add(sources.values())
            parse.parse(model, sources, add)
        return became

    def add(
        self,
        digest: str,
        deps: Sequence[Sequence[CacheLink]] = (),
        results: Iterable[CacheResult] = (),
    ) -> CacheRecord | None:
        """Record that something was done, and give the record to link to.

        `digest` identifies what was done. `deps` lists for each input the alternative records, at
        least one. `results` are the layers that came out. Two calls with one digest mean the same
        record if their inputs have an alternative in common at each position. A digest that begins
        with `random:` is never cached; it gives None.

        Raises InvalidDigest, InvalidInputError for an input without links and for anything else
        than links and results, ForeignRecord for a link to a record of other chains or to None.
        """
        if not str(digest).startswith(_RANDOM):
            digest = Digest.parse(digest)
        return self._add(digest, self._inputs(digest, deps), _checked_results(results))

    def find(
        self, digest: str, deps: Sequence[Sequence[CacheLink]] = ()
    ) -> tuple[CacheRecord, ...]:
        """Give the records that `add` would join for these arguments; none if it would make one.

        Raises as `add` does.
        """
        inputs = self._inputs(digest, deps)
        if not inputs:
            return (self._roots[digest],) if digest in self._roots else ()
        return tuple(graph.matching(digest, inputs))

    def marshal(
        self, mode: Literal["min", "max"] = "max"
    ) -> tuple[CacheConfig, dict[Digest, BlobSource]]:
        """Give the cache config of the graph, and where the blobs of its layers are.

        The newest result of each record is written. Results with a blob that its provider lacks are
        left out, and with mode `min` also results that no leaf's result is built on.

        The same graph gives the same bytes: always for one order of `add` calls, and for any order
        if no records were joined and no two results of a record share an instant.

        In a merged graph order does not even decide between results of one instant or descriptors
        of one blob; a blob counts as present if any source has it; and if the newest result of a
        record is gone, an older one is written. So merging is associative, commutative and
        idempotent to the byte if no records were joined. `chains.blobs` names the one exception,
        which is in the manifest.
        """
        with without_collections():
            return marshal.marshal(self._records, mode, self._merged_blobs())

    def __len__(self) -> int:
        return len(self._records)

    def _merged_blobs(self) -> MergedBlobs | None:
        if not self.merged:
            return None
        results = (result for record in self._records for result in record.results.values())
        self._blobs.add_remotes(result.remote for result in results)
        return self._blobs

    def _add(
        self, digest: str, inputs: graph.Inputs, results: Sequence[CacheResult]
    ) -> CacheRecord | None:
        if digest.startswith(_RANDOM):
            return None
        record = self._find(digest, inputs) or self._new(digest)
        if not inputs:
            self._roots[digest] = record
        for result in results:
            record.add_result(result)
        graph.hang(record, inputs)
        return record

    def _find(self, digest: str, inputs: graph.Inputs) -> CacheRecord | None:
        if not inputs:
            return self._roots.get(digest)
        candidates = graph.matching(digest, inputs)
        return graph.join(candidates, moving=not self.merged) if candidates else None

    def _new(self, digest: str) -> CacheRecord:
        record = CacheRecord(digest=digest, owner=self, sequence=len(self._records))
        self._records.append(record)
        return record

    def _inputs(self, digest: str, deps: Sequence[Sequence[CacheLink]]) -> graph.Inputs:
        inputs = [[self._link(link, digest) for link in links] for links in _checked_deps(deps)]
        if not all(inputs):
            raise InvalidInputError(f"an input without links for record {digest}")
        return inputs

    def _link(self, link: CacheLink, digest: str) -> tuple[CacheRecord, str]:
        src: object = link.src
        if src is None:
            raise ForeignRecord(f"record {digest} links to None, as add gives for random: digests")
        if not isinstance(src, CacheRecord):
            kind = type(src).__name__
            raise ForeignRecord(f"record {digest} links to a {kind}, not to a record of add")
        if src.owner is not self:
            raise ForeignRecord(f"record {digest} links to {src.digest} of other chains")
        return src, gojson.clean(link.selector)


def _checked_deps(deps: Sequence[Sequence[CacheLink]]) -> Sequence[Sequence[CacheLink]]:
    inputs = [links if isinstance(links, list | tuple) else [None] for links in deps]
    if not all(isinstance(link, CacheLink) for links in inputs for link in links):
        raise InvalidInputError(
            "deps has a list of links for each input, as in deps=[[CacheLink(record)]]"
        )
    return deps


def _checked_results(results: Iterable[CacheResult]) -> list[CacheResult]:
    checked = list(results)
    if not all(isinstance(result, CacheResult) for result in checked):
        raise InvalidInputError("results has items like CacheResult(created_at, Remote(…))")
    return checked


def _sources(
    descriptors: Mapping[Digest, BlobSource] | Iterable[Descriptor], provider: Provider | None
) -> Mapping[str, BlobSource]:
    if isinstance(descriptors, Mapping):
        return {str(digest): source for digest, source in descriptors.items()}
    return {str(desc.digest): BlobSource(desc, provider) for desc in descriptors}
