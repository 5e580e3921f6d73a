"""The blobs of a merged graph: one descriptor for each, and the providers that have it.

Sources may describe one blob differently: each build notes its own time, and some note the step.
The descriptor with the most annotations wins, and of several the one whose text is smallest, so
the order of the sources does not matter. Descriptors of results that are not the newest take part
too. Merging the sources in any other order or grouping gives the same, with one exception: if a
merge drops a blob and a later source brings it back, the later descriptor wins, since nothing
remembers what was dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from cachexport.content.protocols import InfoProvider
from cachexport.errors import NotFound
from cachexport.model.chains.record import BlobSource
from cachexport.oci import mediatype
from cachexport.oci.descriptor import UNCOMPRESSED, Descriptor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cachexport.content.protocols import Provider
    from cachexport.model.chains.record import Remote
    from cachexport.oci.digest import Digest


@dataclass(slots=True)
class _Told:
    given: Descriptor
    """The last descriptor given. The next one is mostly the same, so it is compared first."""
    best: Descriptor
    diff_id: str
    """Empty until a source gives it."""
    providers: dict[int, Provider | None]
    """By `id()`, in the order of the sources."""


class MergedBlobs:
    """The blobs of all sources of a graph."""

    def __init__(self) -> None:
        self._told: dict[Digest, _Told] = {}
        self._found: dict[Digest, BlobSource | None] = {}

    def add(self, sources: Iterable[BlobSource]) -> None:
        """Add the blobs of a source."""
        self._found.clear()
        for source in sources:
            self._tell(source.descriptor, source.provider)

    def add_remotes(self, remotes: Iterable[Remote]) -> None:
        """Add the layers of results; a layer that several share is added once."""
        seen: set[Remote] = set()
        for remote in remotes:
            for layer in remote.down():
                if layer in seen:
                    break
                seen.add(layer)
                self._tell(layer.descriptor, layer.provider)

    def find(self, digest: Digest) -> BlobSource | None:
        """Give descriptor and provider of a blob; None if no provider has it any longer.

        Any other failure of a provider is raised.
        """
        if digest not in self._found:
            self._found[digest] = self._find(self._told[digest])
        return self._found[digest]

    def _tell(self, desc: Descriptor, provider: Provider | None) -> None:
        told = self._told.get(desc.digest)
        if told is None:
            diff_id = desc.annotations.get(UNCOMPRESSED, "")
            self._told[desc.digest] = _Told(
                desc, in_oci_spelling(desc), diff_id, {id(provider): provider}
            )
            return
        told.providers[id(provider)] = provider
        if desc is not told.given and desc != told.given:
            told.given = desc
            told.best = min(told.best, in_oci_spelling(desc), key=_rank)
            told.diff_id = told.diff_id or desc.annotations.get(UNCOMPRESSED, "")

    def _find(self, told: _Told) -> BlobSource | None:
        for provider in told.providers.values():
            if has_blob(provider, told.best.digest):
                return BlobSource(_with_diff_id(told.best, told.diff_id), provider)
        return None


def has_blob(provider: Provider | None, digest: Digest) -> bool:
    """Say whether a provider has a blob. Without a cheap way to find out, assume that it has."""
    asked: Any = provider
    if not _can_tell(asked.__class__):
        return True
    try:
        asked.info(digest)
    except NotFound:
        return False
    return True


def in_oci_spelling(desc: Descriptor) -> Descriptor:
    """Give the descriptor with OCI's spelling of its media type."""
    spelled = mediatype.to_oci(desc.media_type)
    return desc if spelled == desc.media_type else replace(desc, media_type=spelled)


@cache
def _can_tell(kind: Any) -> bool:
    # Asking a protocol costs more than all else that is done for a layer.
    return issubclass(kind, InfoProvider)


def _rank(desc: Descriptor) -> tuple[int, str]:
    # The diff ID is the same whoever tells it, or nobody tells it yet.
    told = {key: text for key, text in desc.annotations.items() if key != UNCOMPRESSED}
    return -len(told), replace(desc, annotations=told).encode()


def _with_diff_id(desc: Descriptor, diff_id: str) -> Descriptor:
    if not diff_id or desc.annotations.get(UNCOMPRESSED):
        return desc
    return replace(desc, annotations={**desc.annotations, UNCOMPRESSED: diff_id})
