"""Layers stacked on each other, and where to read them."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from cachexport.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cachexport.content.protocols import Provider
    from cachexport.oci.descriptor import Descriptor

_KEY_SIZE = 16


@dataclass(frozen=True, slots=True)
class BlobSource:
    """A blob's descriptor and the provider to read it from."""

    descriptor: Descriptor
    provider: Provider | None


class Remote:
    """A layer on top of its parents; stacks share what they have in common, whatever their depth.

    `Remote(descriptors, provider)` takes the layers bottom first; `stack` puts one more on top.
    `provider` may be None in a graph that is only looked at. It never changes.
    """

    __slots__ = ("descriptor", "key", "parent", "provider")

    parent: Remote | None
    descriptor: Descriptor
    provider: Provider | None
    key: bytes
    """Two remotes with equal keys have the same blobs in the same order."""

    def __init__(self, descriptors: Iterable[Descriptor], provider: Provider | None = None) -> None:
        layers = tuple(descriptors)
        if not layers:
            raise InvalidInputError("a result needs at least one layer")
        parent: Remote | None = None
        for descriptor in layers[:-1]:
            parent = _stacked(parent, descriptor, provider)
        self._set(parent, layers[-1], provider)

    def stack(self, descriptor: Descriptor, provider: Provider | None = None) -> Remote:
        """Give the remote with one more layer on top, by default from the same provider."""
        return _stacked(self, descriptor, self.provider if provider is None else provider)

    def down(self) -> Iterator[Remote]:
        """Go from the top layer to the bottom one."""
        layer: Remote | None = self
        while layer is not None:
            yield layer
            layer = layer.parent

    @property
    def descriptors(self) -> tuple[Descriptor, ...]:
        """The layers' descriptors, bottom first."""
        return tuple(layer.descriptor for layer in self.down())[::-1]

    def __repr__(self) -> str:
        return f"Remote({[str(descriptor.digest) for descriptor in self.descriptors]})"

    def _set(
        self, parent: Remote | None, descriptor: Descriptor, provider: Provider | None
    ) -> None:
        self.parent = parent
        self.descriptor = descriptor
        self.provider = provider
        below = parent.key if parent is not None else b""
        self.key = blake2b(below + descriptor.digest.encode(), digest_size=_KEY_SIZE).digest()


def _stacked(parent: Remote | None, descriptor: Descriptor, provider: Provider | None) -> Remote:
    remote = Remote.__new__(Remote)
    remote._set(parent, descriptor, provider)
    return remote
