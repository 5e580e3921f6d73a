"""Results turned into numbered layers, each one written once however many results share it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.model.chains.blobs import has_blob, in_oci_spelling
from cachexport.model.chains.record import BlobSource, Remote
from cachexport.model.config.model import NO_PARENT

if TYPE_CHECKING:
    from cachexport.model.chains.blobs import MergedBlobs
    from cachexport.oci.digest import Digest


Layer = tuple[str, int]
"""A blob, and the number of the layer below it, `NO_PARENT` for none."""


class LayerTable:
    """Numbers the layers of results in the order in which they are added.

    In a merged graph `merged` knows where blobs are and what describes them, else each layer does.
    """

    def __init__(self, merged: MergedBlobs | None = None) -> None:
        self.layers: list[Layer] = []
        self.gone: dict[Digest, None] = {}
        """The blobs that no provider has any longer."""
        self._merged = merged
        self._numbers: dict[tuple[str, int], int] = {}
        self._by_remote: dict[Remote, int] = {}
        self._whole: dict[Remote, bool] = {}
        self._added: list[Remote] = []

    def is_whole(self, remote: Remote) -> bool:
        """Say whether all blobs of a result are there. A provider's failure is raised."""
        unknown = []
        whole = True
        for layer in remote.down():
            if layer in self._whole:
                whole = self._whole[layer]
                break
            unknown.append(layer)
        for layer in reversed(unknown):
            whole = whole and self._exists(layer)
            self._whole[layer] = whole
        return whole

    def number(self, remote: Remote) -> int:
        """Give the top layer's number."""
        unknown = []
        below = NO_PARENT
        for layer in remote.down():
            if layer in self._by_remote:
                below = self._by_remote[layer]
                break
            unknown.append(layer)
        for layer in reversed(unknown):
            below = self._number(layer, below)
            self._by_remote[layer] = below
        self._added.append(remote)
        return below

    def descriptors(self) -> dict[Digest, BlobSource]:
        """Give descriptor and provider of every numbered layer's blob.

        Of several that a blob was given with, the last one in the walk counts, as in BuildKit, or
        what `merged` says.
        """
        found: dict[Digest, BlobSource] = {}
        seen: set[Remote] = set()
        for remote in reversed(self._added):
            for layer in remote.down():
                if layer in seen:
                    break
                seen.add(layer)
                if layer.descriptor.digest not in found:
                    found[layer.descriptor.digest] = self._source(layer)
        return found

    def _exists(self, layer: Remote) -> bool:
        digest = layer.descriptor.digest
        if self._merged is not None:
            exists = self._merged.find(digest) is not None
        else:
            exists = has_blob(layer.provider, digest)
        if not exists:
            self.gone[digest] = None
        return exists

    def _source(self, layer: Remote) -> BlobSource:
        merged = self._merged.find(layer.descriptor.digest) if self._merged is not None else None
        return merged or BlobSource(in_oci_spelling(layer.descriptor), layer.provider)

    def _number(self, layer: Remote, below: int) -> int:
        key = (str(layer.descriptor.digest), below)
        number = self._numbers.setdefault(key, len(self.layers))
        if number == len(self.layers):
            self.layers.append(key)
        return number
