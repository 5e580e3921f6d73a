"""A cache as a whole, independent of where it is read from or written to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cachexport.model.envelope.manifest import encode_manifest
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.mediatype import CACHE_CONFIG_V0

if TYPE_CHECKING:
    from cachexport.content.protocols import Provider
    from cachexport.model.config import CacheConfig
    from cachexport.model.envelope.manifest import Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapped:
    """The exact bytes of a cache config and its manifest. Their digests identify the cache."""

    form: Form
    config: bytes
    manifest: bytes

    @property
    def config_descriptor(self) -> Descriptor:
        """The descriptor of the config."""
        return Descriptor.of(self.config, CACHE_CONFIG_V0)

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of the manifest, which identifies the cache. An export answers with it."""
        return Descriptor.of(self.manifest, self.form.media_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """A cache config with descriptors of its layers and where to read them."""

    config: CacheConfig
    layers: tuple[Descriptor, ...]
    """In the order of the manifest; a blob on two parents occurs twice."""
    provider: Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedCache(Cache):
    """A cache that has bytes of its own. An inline cache has none: an image's config holds it."""

    wrapped: Wrapped
    as_read: bool = False
    """Whether the config's bytes are those that were read, not marshalled here."""
    named: bytes | None = None
    """The bytes of the object that it was read from, where names are objects."""

    def in_form(self, form: Form) -> WrappedCache:
        """Give the cache with a manifest of this form; the config keeps its bytes."""
        wrapped = self.wrapped
        if form is wrapped.form:
            return self
        manifest = encode_manifest(form, self.layers, wrapped.config_descriptor)
        return replace(self, wrapped=replace(wrapped, form=form, manifest=manifest))
