"""Writing a cache to a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.backends.objects.client import ABSENT
from cachexport.backends.objects.names import (
    MANIFEST_METADATA,
    decode_named,
    encode_named,
    load_named,
)
from cachexport.backends.objects.sweep import TouchedBlobs
from cachexport.content.diff_ids import with_diff_ids
from cachexport.contract.reading import Current
from cachexport.errors import AlreadyExists, NotFound, Outdated, WireFormat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cachexport.backends.objects.layout import Blobs
    from cachexport.content.protocols import Ingester, Reader
    from cachexport.contract.export import CommonExport
    from cachexport.model.envelope.cache import WrappedCache
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest


class ObjectTarget:
    """A Target over one name of a store.

    It is its own ingester: it reads the name before it writes anything, and refuses to replace what
    is no cache.
    """

    import_limit = None
    """BuildKit imports names of any size."""

    def __init__(self, common: CommonExport, blobs: Blobs, name: str, *, force: bool) -> None:
        self._common = common
        self._blobs = blobs
        self._key = blobs.keys.name(name)
        self._force = force
        self._is_writable = False
        self._touched = TouchedBlobs(blobs)

    @property
    def common(self) -> CommonExport:
        """See Target."""
        return self._common

    @property
    def ingester(self) -> Ingester:
        """See Target."""
        return self

    @property
    def parallelism(self) -> int:
        """See Target."""
        return self._blobs.client.parallelism

    def current(self) -> Current:
        """See Target. Raises AlreadyExists when the name is no cache."""
        try:
            cache, stored = load_named(self._blobs, self._key)
        except NotFound:
            self._is_writable = True
            return Current(version=ABSENT)
        except WireFormat as error:
            self._refuse(error)
            return self._foreign()
        self._is_writable = True
        version = self._blobs.keep(stored)
        return Current((cache,) if cache.config.layers else (), version)

    def holds(self, cache: WrappedCache, /) -> bool:
        """See Target. A listing costs next to nothing here."""
        return False

    def missing(self, descs: Iterable[Descriptor], /) -> set[Digest]:
        """See Ingester. Raises AlreadyExists when the name is no cache."""
        self._check_name()
        looked = self._blobs.look(descs)
        self._touched.add(looked.touched)
        return looked.missing

    def ingest(self, desc: Descriptor, reader: Reader, /) -> None:
        """See Ingester."""
        self._check_name()
        self._blobs.ingest(desc, reader)

    def publish(self, cache: WrappedCache, /, replacing: Current | None = None) -> WrappedCache:
        """See Target. The name points at the manifest too, which BuildKit does not see."""
        self._touched.confirm()
        named = cache.named or encode_named(cache.config, _described(cache))
        metadata = {MANIFEST_METADATA: str(cache.wrapped.descriptor.digest)}
        client = self._blobs.client
        expected = None if replacing is None else replacing.version
        version = client.replace(self._key, named, metadata, version=expected)
        # A store without conditional writes writes in any case.
        if replacing is not None and self._version() != version:
            raise Outdated(f"somebody else wrote {client.place}/{self._key} meanwhile")
        return cache

    def close(self) -> None:
        """See Target."""
        self._blobs.client.close()

    def _version(self) -> str:
        try:
            return self._blobs.client.head(self._key).version
        except NotFound:
            return ABSENT

    def _foreign(self) -> Current:
        """Give the version of an object that is no cache, or what has replaced it by now."""
        try:
            raw, stored = self._blobs.client.load(self._key)
            decode_named(raw)
        except NotFound:
            return Current(version=ABSENT)
        except WireFormat:
            return Current(version=stored.version)
        return self.current()

    def _check_name(self) -> None:
        """Read the name once. Raises AlreadyExists when it is no cache, unless `force` is set."""
        if self._is_writable or self._force:
            return
        try:
            decode_named(self._blobs.client.load(self._key)[0])
        except NotFound:
            pass
        except WireFormat as error:
            self._refuse(error)
        self._is_writable = True

    def _refuse(self, error: WireFormat) -> None:
        if not self._force:
            message = f"{self._blobs.client.place}/{self._key} is no cache ({error})"
            raise AlreadyExists(f"{message}; choose another name, or force=true") from error


def _described(cache: WrappedCache) -> Iterable[Descriptor]:
    return with_diff_ids(cache.layers, cache.provider).values()
