"""Whether all that a cache names is there and has the right content."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from cachexport.content.layers.convert import diff_id
from cachexport.content.parallel import DEFAULT_THREADS, map_parallel
from cachexport.content.progress import Event, silent, step
from cachexport.content.protocols import InfoProvider, SizeProvider
from cachexport.contract.opening import open_source
from cachexport.errors import (
    ContentError,
    Integrity,
    InvalidAttr,
    Loop,
    NotFound,
    WireFormat,
)
from cachexport.model.chains import CacheChains
from cachexport.model.chains.tie import untied
from cachexport.oci import mediatype

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cachexport.content.progress import Progress
    from cachexport.content.protocols import Provider
    from cachexport.contract.backend import Source
    from cachexport.contract.place import Entry, Place
    from cachexport.contract.spec import Spec
    from cachexport.model.envelope.cache import Cache
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest


class FaultKind(StrEnum):
    """What can be wrong."""

    DAMAGED = "damaged"
    """The config or the manifest has another digest, or cannot be read as one."""
    UNDESCRIBED = "undescribed"
    """The config has a layer that the manifest does not describe."""
    UNUSED = "unused"
    """The manifest describes a layer that the config does not have."""
    MISSING = "missing"
    WRONG_SIZE = "wrong-size"
    CORRUPT = "corrupt"
    """A blob has the right size but other content."""
    WRONG_DIFF_ID = "wrong-diff-id"
    NO_DIFF_ID = "no-diff-id"
    """The descriptor has no diff ID; BuildKit does not import such a layer."""


_DAMAGED_CODE, _BLOB_CODE = WireFormat.exit_code, Integrity.exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheFault:
    """One thing that is wrong."""

    kind: FaultKind
    text: str
    blob: str = ""
    """The digest of the layer, if the fault is one of a layer."""

    @property
    def exit_code(self) -> int:
        """The exit code of a command that finds it."""
        return _DAMAGED_CODE if self.kind is FaultKind.DAMAGED else _BLOB_CODE


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was checked, and every fault."""

    name: str = ""
    """The name of the cache, where several were checked."""
    records: int
    blobs: int
    size: int
    """Bytes of all blobs, by their descriptors."""
    faults: tuple[CacheFault, ...]

    @property
    def exit_code(self) -> int:
        """The code of the worst fault; 0 without one."""
        return max((fault.exit_code for fault in self.faults), default=0)


KnownFaults = dict[tuple[str, int, str | None], "CacheFault | None"]
"""What reading a blob found, by its digest, size and diff ID, so that none is read twice."""


def verify_source(
    source: Source,
    *,
    deep: bool = False,
    progress: Progress = silent,
    threads: int = DEFAULT_THREADS,
    known: KnownFaults | None = None,
) -> list[Verification]:
    """Verify the caches that a source names: one, or one for each image with an inline cache.

    Without `deep`, no layer is read: only presence and size are checked. With it, each layer is
    hashed, decompressed and compared with its diff ID. Blobs in `known` are not read again, and
    those that are read are added. Raises NotFound when there is no such name, and Auth or
    BackendError when that cannot be decided.
    """
    known = {} if known is None else known
    try:
        caches = source.load()
    except (Integrity, Loop, WireFormat) as error:
        return [damaged(error)]
    return [
        verify_cache(cache, deep=deep, progress=progress, threads=threads, known=known)
        for cache in caches
    ]


def damage_of(place: Place, entry: Entry) -> list[Verification]:
    """Say what is wrong with a listed name under which no cache was found.

    Gives nothing for a name of something else, or one that is gone by now.
    """
    try:
        place.contents(entry)
    except NotFound:
        return []
    except (ContentError, Loop, WireFormat) as error:
        return [damaged(error)]
    return []


def verify_cache(
    cache: Cache,
    *,
    deep: bool = False,
    progress: Progress = silent,
    threads: int = DEFAULT_THREADS,
    known: KnownFaults | None = None,
) -> Verification:
    """Verify one cache; see `verify_source`."""
    known = {} if known is None else known
    reading = _Reading(cache.provider, progress, threads, known) if deep else None
    layers = list({desc.digest: desc for desc in cache.layers}.values())
    return Verification(
        records=len(untied(cache.config).records),
        blobs=len(layers),
        size=sum(desc.size for desc in layers),
        faults=(
            *_graph_faults(cache),
            *_descriptor_faults(cache, layers),
            *_blob_faults(cache.provider, layers, progress, reading),
        ),
    )


def damaged(error: Exception) -> Verification:
    """Say that a cache cannot be read at all, and why."""
    fault = CacheFault(kind=FaultKind.DAMAGED, text=str(error))
    return Verification(records=0, blobs=0, size=0, faults=(fault,))


def _graph_faults(cache: Cache) -> Iterator[CacheFault]:
    try:
        CacheChains.parse(cache.config, cache.layers, cache.provider)
    except (Loop, WireFormat) as error:
        yield CacheFault(kind=FaultKind.DAMAGED, text=f"the config: {error}")


def _descriptor_faults(cache: Cache, layers: Sequence[Descriptor]) -> Iterator[CacheFault]:
    described = {str(desc.digest) for desc in layers}
    named = {layer.blob for layer in cache.config.layers}
    for blob in sorted(named - described):
        text = "the manifest does not describe it: results with it are lost"
        yield CacheFault(kind=FaultKind.UNDESCRIBED, blob=blob, text=text)
    for blob in sorted(described - named):
        text = "the config does not name it: the manifest is one of another config"
        yield CacheFault(kind=FaultKind.UNUSED, blob=blob, text=text)
    for desc in layers:
        if desc.diff_id is None and desc.media_type != mediatype.OCI_LAYER:
            text = "its descriptor does not tell the diff ID: BuildKit will not import it"
            yield CacheFault(kind=FaultKind.NO_DIFF_ID, blob=desc.digest, text=text)


def _blob_faults(
    provider: Provider,
    layers: Sequence[Descriptor],
    progress: Progress,
    reading: _Reading | None,
) -> Iterator[CacheFault]:
    with step(progress, f"looking for {len(layers)} blobs"):
        sizes = stored_sizes(provider, [desc.digest for desc in layers])
    sound = []
    for desc in layers:
        size = sizes.get(desc.digest)
        if size is None:
            yield CacheFault(kind=FaultKind.MISSING, blob=desc.digest, text="it is not there")
        elif size != desc.size:
            text = f"it has {size:,} bytes, wanted {desc.size:,}"
            yield CacheFault(kind=FaultKind.WRONG_SIZE, blob=desc.digest, text=text)
        else:
            sound.append(desc)
    if reading is not None:
        yield from reading.faults(sound)


def stored_sizes(provider: Provider, digests: Iterable[Digest]) -> dict[Digest, int]:
    """Give the sizes in bytes of the blobs that are there."""
    if isinstance(provider, SizeProvider):
        return provider.sizes(digests)
    sizes = {}
    if isinstance(provider, InfoProvider):
        for digest in digests:
            with suppress(NotFound):
                sizes[digest] = provider.info(digest).size
    return sizes


@dataclass(frozen=True, slots=True)
class _Reading:
    """Reads layers and compares their content with their descriptors."""

    provider: Provider
    progress: Progress
    threads: int
    known: KnownFaults

    def faults(self, layers: Sequence[Descriptor]) -> Iterator[CacheFault]:
        """Give the faults of their contents. Raises TransferError when one cannot be read."""
        unread = [desc for desc in layers if _key(desc) not in self.known]
        for desc in unread:
            self.progress(Event(_reading(desc), "planned", 0, desc.size))
        found = map_parallel(self._fault, unread, self.threads)
        self.known.update(zip(map(_key, unread), found, strict=True))
        yield from filter(None, (self.known[_key(desc)] for desc in layers))

    def _fault(self, desc: Descriptor) -> CacheFault | None:
        with step(self.progress, _reading(desc), desc.size) as moved:
            try:
                found = diff_id(self.provider, desc, moved)
            except (Integrity, NotFound) as error:
                return CacheFault(kind=FaultKind.CORRUPT, blob=desc.digest, text=str(error))
        if found == (desc.diff_id or found):
            return None
        text = f"its content has the diff ID {found}, wanted {desc.diff_id}"
        return CacheFault(kind=FaultKind.WRONG_DIFF_ID, blob=desc.digest, text=text)


def _key(desc: Descriptor) -> tuple[str, int, str | None]:
    return desc.digest, desc.size, desc.diff_id


def _reading(desc: Descriptor) -> str:
    return f"reading layer {desc.digest}"


def verify_entries(
    place: Place, entries: Iterable[Entry], deep: bool, progress: Progress
) -> list[Verification]:
    """Verify the caches of a place's names; each verification has the name.

    Names of other things are left out. No blob is read twice.
    """
    known: KnownFaults = {}
    verified = []
    for entry in entries:
        try:
            items = verify_spec(place.source(entry.name), deep, progress, known)
        except NotFound:
            items = damage_of(place, entry)
        except InvalidAttr as error:
            items = [damaged(error)]
        verified += [replace(item, name=entry.name) for item in items]
    return verified


def verify_spec(
    spec: Spec, deep: bool, progress: Progress, known: KnownFaults
) -> list[Verification]:
    """Verify the caches of one source. Raises NotFound when there is none.

    See `verify_source` for `known`.
    """
    with closing(open_source(spec)) as source, step(progress, f"verifying cache {spec}"):
        found = verify_source(source, deep=deep, progress=progress, known=known)
    if not found:
        raise NotFound(f"{spec}: the image has no inline cache")
    return found
