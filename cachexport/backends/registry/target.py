"""Writing a cache to a registry."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from cachexport.content.verify import read_blob
from cachexport.envelope.form import Form
from cachexport.envelope.manifest import decode_manifest
from cachexport.envelope.read import METADATA_LIMIT
from cachexport.errors import AlreadyExists, BackendError, NotFound, RegistryError, WireFormat
from cachexport.oci import mediatype

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cachexport.backends.registry.attrs import RegistryExport
    from cachexport.backends.registry.repository import Repository
    from cachexport.content.protocols import Ingester, Reader
    from cachexport.envelope.cache import WrappedCache
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest
    from cachexport.spec import CommonExport

_log = logging.getLogger(__name__)
_REFUSED = frozenset({400, 415, 422})
"""Statuses with which registries refuse a manifest because of its form."""


class RegistryTarget:
    """A Target over a reference.

    It is its own ingester: nothing is written before it has looked at what the reference names.
    """

    def __init__(self, attrs: RegistryExport, repository: Repository) -> None:
        self._attrs = attrs
        self._repository = repository
        self._looked = False

    @property
    def common(self) -> CommonExport:
        """See Target."""
        return self._attrs

    @property
    def ingester(self) -> Ingester:
        """See Target."""
        return self

    def missing(self, descs: Iterable[Descriptor], /) -> set[Digest]:
        """See Ingester. Raises AlreadyExists when the reference names what is no cache."""
        self._look()
        return self._repository.missing(descs)

    def ingest(self, desc: Descriptor, reader: Reader, /) -> None:
        """See Ingester."""
        self._look()
        if desc.media_type in mediatype.MANIFESTS | mediatype.INDEXES:
            return  # it is put under its tag, by `publish`
        self._repository.ingest(desc, reader)

    def publish(self, cache: WrappedCache, /) -> WrappedCache:
        """See Target. A registry that refuses the form gets one more try in the other one."""
        try:
            self._put(cache)
        except RegistryError as error:
            if error.status not in _REFUSED:
                raise
            other = cache.in_form(_other(cache.wrapped.form))
            self._put(other)
            _log.warning(
                "%s refused the form %s and took %s instead: %s",
                self._repository.place,
                cache.wrapped.form,
                other.wrapped.form,
                "; ".join(error.diagnostics) or error.status,
            )
            return other
        return cache

    def close(self) -> None:
        """See Target."""
        self._repository.close()

    def _put(self, cache: WrappedCache) -> None:
        wrapped, tag = cache.wrapped, self._attrs.ref.tag
        try:
            self._repository.put_manifest(tag, wrapped.manifest, wrapped.form.media_type)
        except NotFound as error:
            # To a caller NotFound means that there is no cache to read.
            raise BackendError(str(error), op="write the manifest") from error

    def _look(self) -> None:
        """See once whether the reference may be written."""
        if self._looked or self._attrs.force:
            return
        try:
            desc = self._repository.resolve(self._attrs.ref.tag)
            manifest = decode_manifest(read_blob(self._repository, desc, limit=METADATA_LIMIT))
            is_cache = manifest.cache_config is not None
        except NotFound:
            is_cache = True
        except WireFormat:
            is_cache = False
        if not is_cache:
            raise AlreadyExists(
                f"{self._attrs.ref} is not a cache but something else, such as an image; "
                "choose another tag, or replace it with force=true"
            )
        self._looked = True


def _other(form: Form) -> Form:
    return Form.OCI_INDEX if form is Form.IMAGE_MANIFEST else Form.IMAGE_MANIFEST
