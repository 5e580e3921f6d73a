"""The image that a build begins with, and the one that it makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.memory import MemoryContent
from cachexport.images import encode_image_manifest, read_config
from cachexport.images.config.extend import extend_config
from cachexport.images.layers import told_layers
from cachexport.model.chains import BlobSource, Remote
from cachexport.model.envelope.inline import encode_inline
from cachexport.oci import mediatype
from cachexport.oci.descriptor import Descriptor
from cachexport.transfer.prepare import LayerProvider

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachexport.content.protocols import Provider
    from cachexport.images import HistoryEntry, Image
    from cachexport.images.build.stack import Stack
    from cachexport.model.chains import CacheChains


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What a build begins with: an image's config, and its layers, None without any."""

    config: bytes
    top: Remote | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An image; `provider` has its manifest, its config and all layers."""

    descriptor: Descriptor
    provider: Provider


def read_base(provider: Provider, image: Image) -> Base:
    """Give what a build needs to begin with an image. Its layers stay where they are.

    Raises WireFormat for a config that is none, or is of other layers; and as `read_blob` does.
    """
    config = read_config(provider, image)
    layers = told_layers(image, config)
    return Base(config=config, top=Remote(layers, provider) if layers else None)


def make_image(
    base: Base,
    config: bytes,
    stack: Stack,
    history: Sequence[HistoryEntry],
    *,
    chains: CacheChains | None = None,
) -> Made:
    """Give the image with these layers, and what was done since the base in its history.

    `chains` are embedded as the inline cache.
    """
    layers = stack.descriptors
    config = extend_config(
        config,
        () if base.top is None else base.top.descriptors,
        layers,
        history,
        inline_cache=None if chains is None else _inline(chains, layers),
    )
    descriptor, manifest = encode_image_manifest(config, layers)
    made = MemoryContent([config, manifest])
    own = (descriptor, Descriptor.of(config, mediatype.OCI_CONFIG))
    sources = {**stack.provider.sources, **{desc.digest: BlobSource(desc, made) for desc in own}}
    return Made(descriptor=descriptor, provider=LayerProvider(sources))


def _inline(chains: CacheChains, layers: Sequence[Descriptor]) -> bytes | None:
    return encode_inline(chains, [layer.digest for layer in layers])
