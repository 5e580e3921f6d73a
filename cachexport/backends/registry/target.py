"""Writing a cache to a registry."""

from __future__ import annotations

import logging
from functools import cache as remembered
from functools import partial
from typing import TYPE_CHECKING

from cachexport.backends.registry.tag import Tag
from cachexport.backends.registry.trust import lacks_blobs, refuses_missing_blobs
from cachexport.content.parallel import map_parallel, soon
from cachexport.content.verify import read_blob
from cachexport.contract.reading import (
    METADATA_LIMIT,
    Current,
    read_current,
)
from cachexport.errors import AlreadyExists, NotFound, Outdated, RegistryError, WireFormat
from cachexport.model.envelope.manifest import (
    IMPORT_LIMIT,
    decode_manifest,
)
from cachexport.oci import mediatype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cachexport.backends.registry.attrs import RegistryExport
    from cachexport.backends.registry.repository import Repository
    from cachexport.content.protocols import Ingester, Provider, Reader
    from cachexport.content.retry import Retry
    from cachexport.contract.export import CommonExport
    from cachexport.model.envelope.cache import WrappedCache
    from cachexport.model.envelope.manifest import Manifest
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest

_log = logging.getLogger(__name__)
_MANIFESTS = mediatype.MANIFESTS | mediatype.INDEXES


class RegistryTarget:
    """A Target over a reference.

    It is its own ingester: nothing is written before it has looked at what the reference names.
    """

    def __init__(self, attrs: RegistryExport, repository: Repository) -> None:
        self._attrs = attrs
        self._repository = repository
        self._tag = Tag(repository, attrs.ref.tag)
        self._looked = False
        self._named: Manifest | None = None
        self._trusting = attrs.trust_existing
        self._refuses = remembered(partial(refuses_missing_blobs, repository))
        self._lost = False

    @property
    def common(self) -> CommonExport:
        """See Target."""
        return self._attrs

    @property
    def ingester(self) -> Ingester:
        """See Target."""
        return self

    @property
    def parallelism(self) -> int:
        """See Target."""
        return self._attrs.parallelism

    @property
    def import_limit(self) -> int | None:
        """See Target."""
        return IMPORT_LIMIT

    @property
    def retry(self) -> Retry:
        """See Retrying."""
        return self._repository.retry

    def begin(self) -> None:
        """See Prefetching."""
        self._tag.ask_soon()

    def current(self) -> Current:
        """See Target. Raises AlreadyExists when the reference names what is no cache."""
        desc = self._tag.ask()
        self._looked = False  # it may be an image by now
        self._look()
        return Current() if desc is None else read_current(self._repository, desc)

    def holds(self, cache: WrappedCache, /) -> bool:
        """See Target.

        A registry that refuses manifests of missing blobs has those of one that it takes. With
        `trust-existing` it is enough that it took it once.
        """
        form = cache.wrapped.form
        # Far away two questions at once take as long as one.
        refuses = soon(partial(self._refuses, form)) if self._trusting else None
        known = self._tag.known()
        if known is None or known.digest != cache.wrapped.descriptor.digest:
            return False
        if refuses is not None:
            return refuses()
        # The one with the long question first, on the connection that is there.
        questions = (partial(self._takes, cache), partial(self._refuses, form))
        return all(map_parallel(_ask, questions, len(questions)))

    def missing(self, descs: Iterable[Descriptor], /) -> set[Digest]:
        """See Ingester. Raises AlreadyExists when the reference names what is no cache."""
        self._look()
        trusted = self._trusted()
        wanted = [desc for desc in descs if desc.digest not in trusted]
        # A manifest comes with its tag, in one request.
        manifests = {desc.digest for desc in wanted if desc.media_type in _MANIFESTS}
        blobs = [desc for desc in wanted if desc.digest not in manifests]
        return self._repository.missing(blobs) | manifests

    def mount(self, desc: Descriptor, provider: Provider, /) -> bool:
        """See Mounter."""
        return self._repository.mount(desc, provider)

    def ingest(self, desc: Descriptor, reader: Reader, /) -> None:
        """See Ingester."""
        self._look()
        if desc.media_type in _MANIFESTS:
            return  # it is put under its tag, by `publish`
        self._repository.ingest(desc, reader)

    def publish(self, cache: WrappedCache, /, replacing: Current | None = None) -> WrappedCache:
        """See Target. A registry that refuses the form gets one more try in another one."""
        # What is trusted is the registry's check of a manifest in this form, not in another one.
        in_any_form = not self._trusting
        try:
            if replacing is None:
                return self._tag.put(cache, in_any_form=in_any_form)
            return self._tag.replace(replacing.version, cache, in_any_form=in_any_form)
        except RegistryError as error:
            if self._lost or not lacks_blobs(error):
                raise
            # It had them a moment ago, or its manifest said so: once more, trusting nothing.
            self._lost, self._trusting = True, False
            raise Outdated(f"{self._repository.place} lost blobs: {error}") from error

    def close(self) -> None:
        """See Target."""
        self._repository.close()

    def _takes(self, cache: WrappedCache) -> bool:
        try:
            self._tag.put(cache, in_any_form=False)
        except RegistryError:
            return False
        return True

    def _look(self) -> None:
        """See once whether the reference may be written, and what it names."""
        if self._looked:
            return
        known = self._tag.known()
        try:
            self._named = self._read(known) if known else None
            is_cache = self._named is None or self._named.cache_config is not None
        except NotFound:
            is_cache = True
        except WireFormat:
            is_cache = False
        if not is_cache and not self._attrs.force:
            raise AlreadyExists(
                f"{self._attrs.ref} is not a cache but something else, such as an image; "
                "choose another tag, or replace it with force=true"
            )
        self._looked = True

    def _read(self, desc: Descriptor) -> Manifest:
        return decode_manifest(read_blob(self._repository, desc, limit=METADATA_LIMIT))

    def _trusted(self) -> frozenset[Digest]:
        """Give the blobs that need no look, because the manifest that is there names them."""
        named = self._named
        if not self._trusting or named is None or named.cache_config is None:
            return frozenset()
        if not self._refuses(named.form):
            self._trusting = False
            place = self._repository.place
            _log.warning("%s takes manifests of missing blobs: trust-existing is ignored", place)
            return frozenset()
        return frozenset(desc.digest for desc in (*named.cache_layers, named.cache_config))


def _ask(question: Callable[[], bool]) -> bool:
    return question()
