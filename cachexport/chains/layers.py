"""Results turned into numbered layers, each one written once however many results share it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from cachexport.cacheconfig.model import NO_PARENT
from cachexport.chains.remote import BlobSource, Remote
from cachexport.content.protocols import InfoProvider
from cachexport.errors import NotFound
from cachexport.oci import mediatype

if TYPE_CHECKING:
    from cachexport.oci.digest import Digest


Layer = tuple[str, int]
"""A blob, and the number of the layer below it, `NO_PARENT` for none."""


class LayerTable:
    """Numbers the layers of results in the order in which they are added."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self._numbers: dict[tuple[str, int], int] = {}
        self._by_remote: dict[Remote, int | None] = {}
        self._added: list[Remote] = []
        self.gone: dict[Digest, None] = {}
        """The blobs that a provider no longer has."""

    def number(self, remote: Remote) -> int | None:
        """Give the top layer's number; None if a provider no longer has one of the blobs.

        Any other failure of a provider is raised.
        """
        unknown = []
        below: int | None = NO_PARENT
        for layer in remote.down():
            if layer in self._by_remote:
                below = self._by_remote[layer]
                break
            unknown.append(layer)
        if below is not None and not all(map(self._exists, reversed(unknown))):
            below = None
        for layer in reversed(unknown):
            below = None if below is None else self._number(layer, below)
            self._by_remote[layer] = below
        self._added.append(remote)
        return below

    def descriptors(self) -> dict[Digest, BlobSource]:
        """Give descriptor and provider of every numbered layer's blob.

        Of several that a blob was given with, the last one in the walk counts, as in BuildKit.
        """
        found: dict[Digest, BlobSource] = {}
        seen: set[Remote] = set()
        for remote in reversed(self._added):
            for layer in remote.down():
                if layer in seen:
                    break
                seen.add(layer)
                if self._by_remote[layer] is not None:
                    found.setdefault(layer.descriptor.digest, _source(layer))
        return found

    def _exists(self, layer: Remote) -> bool:
        provider: Any = layer.provider
        if not _can_tell(provider.__class__):
            return True
        try:
            provider.info(layer.descriptor.digest)
        except NotFound:
            self.gone[layer.descriptor.digest] = None
            return False
        return True

    def _number(self, layer: Remote, below: int) -> int:
        key = (str(layer.descriptor.digest), below)
        number = self._numbers.setdefault(key, len(self.layers))
        if number == len(self.layers):
            self.layers.append(key)
        return number


@cache
def _can_tell(kind: Any) -> bool:
    # Asking a protocol costs more than all else that is done for a layer.
    return issubclass(kind, InfoProvider)


def _source(layer: Remote) -> BlobSource:
    descriptor = layer.descriptor
    spelled = mediatype.to_oci(descriptor.media_type)
    if spelled != descriptor.media_type:
        descriptor = replace(descriptor, media_type=spelled)
    return BlobSource(descriptor, layer.provider)
