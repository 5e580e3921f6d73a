"""Having blobs that are gone or wrong in one place from others."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.copy import copy_blob, ingest_bytes
from cachexport.content.progress import step
from cachexport.content.verify import read_blob
from cachexport.contract.reading import METADATA_LIMIT
from cachexport.errors import (
    ContentError,
    Integrity,
    InvalidDigest,
    NotFound,
    TransferError,
    WireFormat,
)
from cachexport.model.envelope.manifest import decode_manifest
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.digest import Digest
from cachexport.upkeep.verify import stored_sizes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cachexport.content.progress import Progress
    from cachexport.content.protocols import Ingester, Provider


@dataclass(frozen=True, slots=True)
class Origins:
    """Where blobs may be had from."""

    providers: Sequence[Provider]
    progress: Progress

    def have(self, desc: Descriptor) -> bool:
        """Say whether one of them has a blob, as far as can be told without reading it."""
        digest = desc.digest
        return any(stored_sizes(each, [digest]).get(digest) == desc.size for each in self.providers)

    def restore(self, desc: Descriptor, target: Ingester) -> bool:
        """Copy a blob from the first that has it whole, in place of what is there."""
        for provider in self.providers:
            with (
                suppress(Integrity, NotFound),
                step(self.progress, f"restoring {desc.digest}", desc.size) as moved,
            ):
                copy_blob(provider, target, desc, moved)
                return True
        return False

    def read(self, digest: Digest) -> bytes | None:
        """Give something small that is named by its digest alone; None where nobody has it."""
        for provider in self.providers:
            size = stored_sizes(provider, [digest]).get(digest)
            if size is None:
                continue
            with suppress(ContentError, TransferError):
                desc = Descriptor(digest=digest, size=size)
                return read_blob(provider, desc, limit=METADATA_LIMIT)
        return None


def restore_envelope(
    origins: Origins, digests: Iterable[str], target: Ingester, *, dry_run: bool
) -> int:
    """Copy manifests, and the configs of caches that they name; say how many blobs were had.

    With `dry_run` nothing is copied.
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
