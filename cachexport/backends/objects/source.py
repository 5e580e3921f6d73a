"""Reading caches from a store."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cachexport.backends.objects.names import load_named
from cachexport.contract.reading import read_caches
from cachexport.errors import Auth, NotFound
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachexport.backends.objects.layout import Blobs
    from cachexport.content.protocols import Provider
    from cachexport.model.envelope.cache import Cache
    from cachexport.oci.digest import Digest


class ObjectSource:
    """A Source over the names of a store, or over one manifest by its digest."""

    def __init__(self, blobs: Blobs, names: Sequence[str], digest: Digest | None = None) -> None:
        self._blobs = blobs
        self._names = names
        self._digest = digest

    @property
    def provider(self) -> Provider:
        """See Source."""
        return self._blobs

    def load(self) -> tuple[Cache, ...]:
        """See Source. An empty cache counts as missing: BuildKit may write one over a good one.

        Of several names the missing ones are left out; raises NotFound where all are missing.
        """
        if self._digest is not None:
            size = self._size(self._digest)
            return read_caches(self._blobs, Descriptor(digest=self._digest, size=size))
        found, absent = [], None
        for name in self._names:
            try:
                found.append(self._load(name))
            except NotFound as error:
                absent = error
        if absent is not None and not found:
            raise absent
        return tuple(found)

    def close(self) -> None:
        """See Source."""
        self._blobs.client.close()

    def _size(self, digest: Digest) -> int:
        try:
            return self._blobs.info(digest).size
        except NotFound:
            # A store answers so for a missing bucket, too. A listing tells them apart.
            with suppress(Auth):
                self._blobs.client.list_page(self._blobs.keys.blob(digest))
            raise

    def _load(self, name: str) -> Cache:
        key = self._blobs.keys.name(name)
        cache, _ = load_named(self._blobs, key)
        if not cache.config.records:
            raise NotFound(f"{self._blobs.client.place}/{key} is an empty cache")
        return cache
