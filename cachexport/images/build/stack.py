"""The layers of a build so far, bottom first, each wherever it is."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from cachexport.images.config.config import diff_id_of
from cachexport.model.chains import BlobSource, Remote
from cachexport.transfer.prepare import LayerProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cachexport.oci.descriptor import Descriptor
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
        """Give the stack with one more layer on top, whatever is below that one elsewhere."""
        desc, provider = layer.descriptor, layer.provider
        return type(self)(self.top.stack(desc, provider) if self.top else Remote([desc], provider))

    def grown_to(self, result: Remote) -> Self:
        """Give the stack that a cached result has.

        Where it is this one with more on top, what is here stays: it may lie nearer, or in
        another compression.
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
