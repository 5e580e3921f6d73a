"""The image that a build begins with, its layers so far, and its result."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from cachexport.content.memory import MemoryContent
from cachexport.images import encode_image_manifest, read_config
from cachexport.images.config.config import diff_id_of, extend_config
from cachexport.images.image import image_layers
from cachexport.model.chains import BlobSource, Remote
from cachexport.model.envelope.inline import encode_inline
from cachexport.oci import mediatype
from cachexport.oci.descriptor import Descriptor
from cachexport.transfer.prepare import LayerProvider

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.content.protocols import Provider
    from cachexport.images import HistoryEntry, Image
    from cachexport.model.chains import CacheChains
    from cachexport.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Stack:
    """Layers on each other; `top` is None for none. It never changes."""

    top: Remote | None = None

    def __iter__(self) -> Iterator[Remote]:
        """Give the layers, bottom first."""
        layers = () if self.top is None else tuple(self.top.down())
        return reversed(layers)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def descriptors(self) -> tuple[Descriptor, ...]:
        """The layers' descriptors, bottom first."""
        return tuple(layer.descriptor for layer in self)

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        """The layers' diff IDs, bottom first."""
        return tuple(diff_id_of(desc) for desc in self.descriptors)

    def put(self, layer: Remote) -> Self:
        """Give the stack with this layer on top; layers below it in another stack do not count."""
        desc, provider = layer.descriptor, layer.provider
        return type(self)(self.top.stack(desc, provider) if self.top else Remote([desc], provider))

    def grown_to(self, result: Remote) -> Self:
        """Give the stack of a cached result.

        Layers that both have in common stay those of this stack, which may be nearer, or compressed
        otherwise.
        """
        wanted = Stack(result)
        if wanted.diff_ids[: len(self)] != self.diff_ids:
            return type(self)(result)
        grown = self
        for layer in itertools.islice(wanted, len(self), None):
            grown = grown.put(layer)
        return grown

    @property
    def provider(self) -> LayerProvider:
        """Reads each layer from where it is."""
        return LayerProvider(
            {
                layer.descriptor.digest: BlobSource(layer.descriptor, layer.provider)
                for layer in self
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildBase:
    """The start of a build: the config of an image, and its layers; None without layers."""

    config: bytes
    top: Remote | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImage:
    """An image; `provider` has its manifest, its config and all layers."""

    descriptor: Descriptor
    provider: Provider


def read_base(provider: Provider, image: Image) -> BuildBase:
    """Read the image that a build begins with. Its layers stay where they are.

    Raises WireFormat for a damaged config, or one that has another number of layers; and as
    `read_blob` does.
    """
    config = read_config(provider, image)
    layers = image_layers(image, config)
    return BuildBase(config=config, top=Remote(layers, provider) if layers else None)


def make_image(
    base: BuildBase,
    config: bytes,
    stack: Stack,
    history: Sequence[HistoryEntry],
    *,
    chains: CacheChains | None = None,
) -> BuiltImage:
    """Make the image with these layers; `history` has the steps since the base.

    `chains` are embedded as the inline cache.
    """
    layers = stack.descriptors
    inline = None
    if chains is not None:
        inline = encode_inline(chains, [layer.digest for layer in layers])
    config = extend_config(
        config,
        () if base.top is None else base.top.descriptors,
        layers,
        history,
        inline_cache=inline,
    )
    descriptor, manifest = encode_image_manifest(config, layers)
    made = MemoryContent([config, manifest])
    own = (descriptor, Descriptor.of(config, mediatype.OCI_CONFIG))
    sources = {**stack.provider.sources, **{desc.digest: BlobSource(desc, made) for desc in own}}
    return BuiltImage(descriptor=descriptor, provider=LayerProvider(sources))
