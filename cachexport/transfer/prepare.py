"""Choosing the bytes to write: those that were read, or newly marshalled ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cachexport.content.diff_ids import with_diff_ids
from cachexport.content.protocols import Composite, Distributed
from cachexport.errors import Integrity, NotFound
from cachexport.model.chains import CacheChains
from cachexport.model.chains.tie import tie_ends
from cachexport.model.envelope.cache import Wrapped, WrappedCache
from cachexport.model.envelope.manifest import Form, encode_manifest, requested_form
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.mediatype import CACHE_CONFIG_V0

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cachexport.content.protocols import Provider, Reader
    from cachexport.contract.export import CommonExport
    from cachexport.model.chains import BlobSource
    from cachexport.model.envelope.cache import Cache
    from cachexport.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class LayerProvider:
    """A Provider that reads each layer from its own source."""

    sources: Mapping[Digest, BlobSource]

    def open(self, desc: Descriptor, /) -> Reader:
        """See Provider."""
        return self.origin(desc).open(desc)

    def repositories(self, digest: Digest, /) -> Mapping[str, Sequence[str]]:
        """See Distributed."""
        source = self.sources.get(digest)
        provider = None if source is None else source.provider
        return provider.repositories(digest) if isinstance(provider, Distributed) else {}

    def origin(self, desc: Descriptor) -> Provider:
        """See Composite."""
        source = self.sources.get(desc.digest)
        if source is None or source.provider is None:
            raise NotFound(f"no provider was given for blob {desc.digest}")
        provider = source.provider
        return provider.origin(desc) if isinstance(provider, Composite) else provider


def prepare(caches: Sequence[Cache], common: CommonExport) -> WrappedCache:
    """Prepare what was read. A single cache that need not change keeps its exact bytes.

    Several are merged into one graph and marshalled. Raises WireFormat or Loop for a config that
    is no graph, Integrity for a layer that the manifest does not describe.
    """
    cache = caches[0] if len(caches) == 1 else None
    if not isinstance(cache, WrappedCache):
        return prepare_chains(merge_caches(caches), common)
    chains = _checked(cache)
    form = requested_form(common.image_manifest, common.oci_mediatypes, cache.wrapped.form)
    minimal = _minimal(chains, form) if common.mode == "min" else None
    return minimal or cache.in_form(form)


def prepare_merged(caches: Sequence[Cache], common: CommonExport) -> WrappedCache:
    """Prepare the union of caches; a single one is marshalled too, as if it had been merged."""
    return prepare_chains(merge_caches(caches, as_merged=True), common)


def _checked(cache: Cache) -> CacheChains:
    """Parse the graph of a cache, so that no bytes are passed on that cannot be imported."""
    described = {str(desc.digest) for desc in cache.layers}
    for layer in cache.config.layers:
        if layer.blob not in described:
            raise Integrity(f"missing blob {layer.blob}: the manifest does not describe it")
    return merge_caches([cache])


def prepare_chains(chains: CacheChains, common: CommonExport) -> WrappedCache:
    """Prepare a graph, by default with all results and as an image manifest."""
    form = requested_form(common.image_manifest, common.oci_mediatypes)
    return marshalled(chains, form, common.mode or "max")


def marshalled(
    chains: CacheChains, form: Form, mode: Literal["min", "max"] = "max"
) -> WrappedCache:
    """Marshal a graph into a cache of this form, each layer with its diff ID.

    The ends of a merged graph are tied together; see `chains.tie`.
    """
    config, sources = chains.marshal(mode)
    if chains.merged:
        config = tie_ends(config)
    provider = LayerProvider(sources)
    descriptors = with_diff_ids((source.descriptor for source in sources.values()), provider)
    by_blob = {str(digest): desc for digest, desc in descriptors.items()}
    layers = tuple(by_blob[layer.blob] for layer in config.layers)
    raw = config.encode()
    manifest = encode_manifest(form, layers, Descriptor.of(raw, CACHE_CONFIG_V0))
    return WrappedCache(
        config=config,
        layers=layers,
        provider=provider,
        wrapped=Wrapped(form=form, config=raw, manifest=manifest),
    )


def merge_caches(caches: Sequence[Cache], *, as_merged: bool = False) -> CacheChains:
    """Give one graph of all that the caches have, in their order.

    With `as_merged` a single one counts as merged too.
    """
    chains = CacheChains()
    chains.merged = as_merged or len(caches) > 1
    for cache in caches:
        chains.merge(cache.config, cache.layers, cache.provider)
    return chains


def _minimal(chains: CacheChains, form: Form) -> WrappedCache | None:
    """Give the cache with fewer results; None if it has no more than mode=min keeps."""
    if chains.marshal("min")[0] == chains.marshal("max")[0]:
        return None
    return marshalled(chains, form, "min")
