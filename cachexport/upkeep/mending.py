"""Making one cache whole: restore or correct its blobs, and leave out results without them."""

from __future__ import annotations

import logging
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cachexport.content.copy import copy_blob, ingest_bytes
from cachexport.content.layers.convert import diff_id
from cachexport.content.progress import step
from cachexport.content.verify import BLOCK, open_verified, read_blob
from cachexport.contract.reading import METADATA_LIMIT
from cachexport.errors import (
    ContentError,
    Integrity,
    InvalidDigest,
    NotFound,
    TransferError,
    WireFormat,
)
from cachexport.model.chains import CacheChains
from cachexport.model.config.salvage import salvage
from cachexport.model.envelope.manifest import decode_manifest
from cachexport.oci.descriptor import UNCOMPRESSED, Descriptor
from cachexport.oci.digest import Digest
from cachexport.transfer.prepare import marshalled
from cachexport.upkeep.verify import FaultKind, stored_sizes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cachexport.content.progress import Progress
    from cachexport.content.protocols import Ingester, Provider, Reader
    from cachexport.model.config import CacheConfig
    from cachexport.model.envelope.cache import WrappedCache
    from cachexport.upkeep.verify import CacheFault


@dataclass(frozen=True, slots=True)
class RestoreSources:
    """Other places that may have the blobs, in the order in which they are asked."""

    providers: Sequence[Provider]
    progress: Progress

    def have(self, desc: Descriptor) -> bool:
        """Say whether one of them has a blob of this size; nothing is read."""
        digest = desc.digest
        return any(stored_sizes(each, [digest]).get(digest) == desc.size for each in self.providers)

    def restore(self, desc: Descriptor, target: Ingester) -> bool:
        """Copy a blob from the first that has it whole, over the one in the target."""
        for provider in self.providers:
            with (
                suppress(Integrity, NotFound),
                step(self.progress, f"restoring {desc.digest}", desc.size) as moved,
            ):
                copy_blob(provider, target, desc, moved)
                return True
        return False

    def read(self, digest: Digest) -> bytes | None:
        """Read a manifest or config of which only the digest is known; None where nobody has it."""
        for provider in self.providers:
            size = stored_sizes(provider, [digest]).get(digest)
            if size is None:
                continue
            with suppress(ContentError, TransferError):
                desc = Descriptor(digest=digest, size=size)
                return read_blob(provider, desc, limit=METADATA_LIMIT)
        return None


def restore_envelope(
    origins: RestoreSources, digests: Iterable[str], target: Ingester, *, dry_run: bool
) -> int:
    """Copy manifests, and the cache configs that they name; give the number of blobs restored.

    With `dry_run` nothing is copied, only counted.
    """
    restored = 0
    for text in digests:
        with suppress(InvalidDigest, WireFormat):
            raw = origins.read(Digest.parse(text))
            if raw is None:
                continue
            manifest = decode_manifest(raw)
            config = manifest.cache_config
            restored += 1
            if dry_run:
                restored += bool(config and origins.have(config))
                continue
            ingest_bytes(target, Descriptor.of(raw, manifest.media_type), raw)
            restored += bool(config and origins.restore(config, target))
    return restored


_log = logging.getLogger(__name__)
_SPOILED = frozenset({FaultKind.WRONG_SIZE, FaultKind.CORRUPT})
_UNUSABLE = _SPOILED | {FaultKind.MISSING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """A cache without faults."""

    cache: WrappedCache
    restored: int
    """Blobs that were copied from other places."""
    spoiled: tuple[Digest, ...]
    """Damaged blobs that are there and that the cache no longer needs."""


@dataclass(frozen=True, slots=True)
class _Certain:
    """A provider without sizes, so that nothing asks again which blobs it has."""

    provider: Provider

    def open(self, desc: Descriptor, /) -> Reader:
        """See Provider."""
        return self.provider.open(desc)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mending:
    """Makes one cache whole. With `dry_run` nothing is written."""

    cache: WrappedCache
    faults: Sequence[CacheFault]
    origins: RestoreSources
    dry_run: bool

    def run(self, target: Ingester) -> Mended:
        """Restore blobs into `target`, and give the cache with all that is whole afterwards."""
        wrong = {fault.blob: fault.kind for fault in self.faults if fault.blob}
        layers = list({desc.digest: desc for desc in self.cache.layers}.values())
        descs: list[Descriptor] = []
        restored = 0
        spoiled: list[Digest] = []
        for desc in layers:
            kind = wrong.get(desc.digest)
            mended = self._put_right(desc, kind)
            if mended is None and self._restore(desc, target, was_there=kind in _SPOILED):
                mended, restored = desc, restored + 1
            if mended is not None:
                descs.append(mended)
            elif kind in _SPOILED:
                spoiled.append(desc.digest)
        only_blobs = all(fault.kind in _UNUSABLE for fault in self.faults)
        config = salvage(self.cache.config)
        if only_blobs and descs == layers and config is self.cache.config:
            cache = self.cache  # all blobs were restored
        else:
            cache = self._marshalled(config, descs)
        return Mended(cache=cache, restored=restored, spoiled=tuple(spoiled))

    def _put_right(self, desc: Descriptor, kind: FaultKind | None) -> Descriptor | None:
        """Give the corrected descriptor; None when the blob cannot be used."""
        if kind is FaultKind.WRONG_SIZE:
            return self._with_true_size(desc)
        if kind is FaultKind.WRONG_DIFF_ID:
            true = diff_id(self.cache.provider, desc)
            return replace(desc, annotations={**desc.annotations, UNCOMPRESSED: str(true)})
        return None if kind in _UNUSABLE else desc

    def _with_true_size(self, desc: Descriptor) -> Descriptor | None:
        """Give the descriptor with the blob's size; None when the blob is wrong, not the size."""
        size = stored_sizes(self.cache.provider, [desc.digest]).get(desc.digest)
        if size is None:
            return None
        candidate = replace(desc, size=size)
        try:
            _read(self.cache.provider, candidate)
        except (Integrity, NotFound):
            return None
        return candidate

    def _restore(self, desc: Descriptor, target: Ingester, *, was_there: bool) -> bool:
        if self.dry_run:
            return self.origins.have(desc)
        if not self.origins.restore(desc, target):
            return False
        # A registry may discard an upload of a digest that it has already.
        if was_there and is_spoiled(self.cache.provider, desc.digest):
            _log.warning("%s was sent anew, but the damaged one is still there", desc.digest)
            return False
        return True

    def _marshalled(self, config: CacheConfig, descs: Sequence[Descriptor]) -> WrappedCache:
        chains = CacheChains.parse(config, descs, _Certain(self.cache.provider))
        return marshalled(chains, self.cache.wrapped.form)


def is_spoiled(provider: Provider, digest: Digest) -> bool:
    """Say whether a blob is there and was read to have another digest."""
    size = stored_sizes(provider, [digest]).get(digest)
    if size is None:
        return False
    try:
        _read(provider, Descriptor(digest=digest, size=size))
    except Integrity:
        return True
    except (NotFound, TransferError):
        return False
    return False


def _read(provider: Provider, desc: Descriptor) -> None:
    """Read all of a blob. Raises Integrity, NotFound or TransferError."""
    with closing(open_verified(provider, desc)) as reader:
        while reader.read(BLOCK):
            pass
