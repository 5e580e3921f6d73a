"""One cache as a whole, wherever it was read from or is written to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from cachexport.cacheconfig import CacheConfig
    from cachexport.content.protocols import Provider
    from cachexport.envelope.form import Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapped:
    """The bytes that a cache config and its manifest have: their identity."""

    form: Form
    config: bytes
    manifest: bytes

    @property
    def config_descriptor(self) -> Descriptor:
        """Names the config's bytes."""
        from cachexport.oci.mediatype import CACHE_CONFIG_V0

        return Descriptor.of(self.config, CACHE_CONFIG_V0)

    @property
    def descriptor(self) -> Descriptor:
        """Names the manifest's bytes, and so the cache: what an export answers with."""
        return Descriptor.of(self.manifest, self.form.media_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """A cache config with descriptors of its layers and where to read them."""

    config: CacheConfig
    layers: tuple[Descriptor, ...]
    """In the order of the manifest; a blob on two parents occurs twice."""
    provider: Provider
    wrapped: Wrapped | None
    """The bytes as read. An inline cache has none: it is part of an image's config."""
