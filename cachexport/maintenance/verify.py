"""Whether all that a cache promises is there, and is what it should be."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from cachexport.chains import CacheChains
from cachexport.content.protocols import InfoProvider, SizeProvider
from cachexport.errors import (
    Integrity,
    Loop,
    NotFound,
    WireFormat,
)
from cachexport.layer.convert import diff_id
from cachexport.oci import mediatype
from cachexport.transfer.parallel import DEFAULT_THREADS, map_parallel
from cachexport.transfer.progress import Event, silent, step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cachexport.content.protocols import Provider
    from cachexport.envelope.cache import Cache
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest
    from cachexport.transfer.ends import Source
    from cachexport.transfer.progress import Progress


class FaultKind(StrEnum):
    """What can be wrong."""

    DAMAGED = "damaged"
    """The config or the manifest is not what its digest says, or is none."""
    UNDESCRIBED = "undescribed"
    """The config has a layer that the manifest does not describe."""
    UNUSED = "unused"
    """The manifest describes a layer that the config does not have."""
    MISSING = "missing"
    WRONG_SIZE = "wrong-size"
    CORRUPT = "corrupt"
    """A blob has the right size and something else in it."""
    WRONG_DIFF_ID = "wrong-diff-id"
    NO_DIFF_ID = "no-diff-id"
    """BuildKit imports no layer whose diff ID is not told."""


_DAMAGED_CODE, _BLOB_CODE = WireFormat.exit_code, Integrity.exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong."""

    kind: FaultKind
    text: str
    blob: str = ""
    """The digest of the layer that is meant, if one is."""

    @property
    def exit_code(self) -> int:
        """What a command ends with because of it."""
        return _DAMAGED_CODE if self.kind is FaultKind.DAMAGED else _BLOB_CODE


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was looked at, and every fault."""

    records: int
    blobs: int
    size: int
    """Bytes that all blobs should have."""
    faults: tuple[Fault, ...]

    @property
    def exit_code(self) -> int:
        """The code of the worst fault; 0 without one."""
        return max((fault.exit_code for fault in self.faults), default=0)


def verify_source(
    source: Source,
    *,
    deep: bool = False,
    progress: Progress = silent,
    threads: int = DEFAULT_THREADS,
) -> list[Verification]:
    """Verify the caches that a source names: one, or one for each image with an inline cache.

    Without `deep` no layer is read: it is looked whether each is there and how large it is. With
    it each is hashed, decompressed and compared with its diff ID. Raises NotFound when nothing
    has the name, and Auth or BackendError when that cannot be told.
    """
    try:
        caches = source.load()
    except (Integrity, Loop, WireFormat) as error:
        fault = Fault(kind=FaultKind.DAMAGED, text=str(error))
        return [Verification(records=0, blobs=0, size=0, faults=(fault,))]
    return [verify_cache(cache, deep=deep, progress=progress, threads=threads) for cache in caches]


def verify_cache(
    cache: Cache,
    *,
    deep: bool = False,
    progress: Progress = silent,
    threads: int = DEFAULT_THREADS,
) -> Verification:
    """Verify one cache; see `verify_source`."""
    layers = list({desc.digest: desc for desc in cache.layers}.values())
    return Verification(
        records=len(cache.config.records),
        blobs=len(layers),
        size=sum(desc.size for desc in layers),
        faults=(
            *_graph_faults(cache),
            *_descriptor_faults(cache, layers),
            *_blob_faults(cache.provider, layers, deep, progress, threads),
        ),
    )


def _graph_faults(cache: Cache) -> Iterator[Fault]:
    try:
        CacheChains.parse(cache.config, cache.layers, cache.provider)
    except (Loop, WireFormat) as error:
        yield Fault(kind=FaultKind.DAMAGED, text=f"the config: {error}")


def _descriptor_faults(cache: Cache, layers: Sequence[Descriptor]) -> Iterator[Fault]:
    described = {str(desc.digest) for desc in layers}
    named = {layer.blob for layer in cache.config.layers}
    for blob in sorted(named - described):
        text = "the manifest does not describe it: results with it are lost"
        yield Fault(kind=FaultKind.UNDESCRIBED, blob=blob, text=text)
    for blob in sorted(described - named):
        text = "the config does not name it: the manifest is one of another config"
        yield Fault(kind=FaultKind.UNUSED, blob=blob, text=text)
    for desc in layers:
        if desc.diff_id is None and desc.media_type != mediatype.OCI_LAYER:
            text = "its descriptor does not tell the diff ID: BuildKit will not import it"
            yield Fault(kind=FaultKind.NO_DIFF_ID, blob=desc.digest, text=text)


def _blob_faults(
    provider: Provider,
    layers: Sequence[Descriptor],
    deep: bool,
    progress: Progress,
    threads: int,
) -> Iterator[Fault]:
    with step(progress, f"looking for {len(layers)} blobs"):
        sizes = _sizes(provider, [desc.digest for desc in layers])
    sound = []
    for desc in layers:
        size = sizes.get(desc.digest)
        if size is None:
            yield Fault(kind=FaultKind.MISSING, blob=desc.digest, text="it is not there")
        elif size != desc.size:
            text = f"it has {size:,} bytes, wanted {desc.size:,}"
            yield Fault(kind=FaultKind.WRONG_SIZE, blob=desc.digest, text=text)
        else:
            sound.append(desc)
    if deep:
        for desc in sound:
            progress(Event(_reading(desc), "planned", 0, desc.size))
        read = partial(_content_fault, provider, progress)
        yield from filter(None, map_parallel(read, sound, threads))


def _sizes(provider: Provider, digests: Iterable[Digest]) -> dict[Digest, int]:
    if isinstance(provider, SizeProvider):
        return provider.sizes(digests)
    sizes = {}
    if isinstance(provider, InfoProvider):
        for digest in digests:
            with suppress(NotFound):
                sizes[digest] = provider.info(digest).size
    return sizes


def _content_fault(provider: Provider, progress: Progress, desc: Descriptor) -> Fault | None:
    """Read a layer; say what is wrong with its content. Raises TransferError when it cannot."""
    with step(progress, _reading(desc), desc.size) as moved:
        try:
            found = diff_id(provider, desc, moved)
        except (Integrity, NotFound) as error:
            return Fault(kind=FaultKind.CORRUPT, blob=desc.digest, text=str(error))
    if found == (desc.diff_id or found):
        return None
    text = f"its content has the diff ID {found}, wanted {desc.diff_id}"
    return Fault(kind=FaultKind.WRONG_DIFF_ID, blob=desc.digest, text=text)


def _reading(desc: Descriptor) -> str:
    return f"reading layer {desc.digest}"
