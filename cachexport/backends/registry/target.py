"""Writing caches and images to a registry."""

from __future__ import annotations

import logging
from functools import cache as remembered
from functools import partial
from typing import TYPE_CHECKING

from cachexport.backends.registry.tag import Tag
from cachexport.content.parallel import map_parallel, soon
from cachexport.content.verify import read_blob
from cachexport.contract.reading import METADATA_LIMIT, Current, read_current
from cachexport.errors import (
    AlreadyExists,
    BackendError,
    NotFound,
    Outdated,
    RegistryError,
    WireFormat,
)
from cachexport.model.envelope.manifest import IMPORT_LIMIT, decode_manifest, encode_manifest
from cachexport.oci import mediatype
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cachexport.backends.registry.attrs import RegistryExport, RegistryImagePush
    from cachexport.backends.registry.repository import Repository
    from cachexport.content.protocols import Ingester, Provider, Reader
    from cachexport.content.retry import Retry
    from cachexport.contract.export import CommonExport
    from cachexport.model.envelope.cache import WrappedCache
    from cachexport.model.envelope.manifest import Form, Manifest

_log = logging.getLogger(__name__)
_MANIFESTS = mediatype.MANIFESTS | mediatype.INDEXES
_ABSENT = b"cachexport: nobody has these bytes as a blob"
_BLOB_UNKNOWN = ("MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN")
"""Codes with which registries refuse a manifest that names a missing blob."""


class RegistryTarget:
    """A Target over a reference.

    It is its own ingester: it reads what the reference names before it writes anything.
    """

    def __init__(self, attrs: RegistryExport, repository: Repository) -> None:
        self._attrs = attrs
        self._repository = repository
        self._tag = Tag(repository, attrs.ref.tag)
        self._checked = False
        self._named: Manifest | None = None
        """The manifest under the tag, once that is checked."""
        self._trusting = attrs.trust_existing
        self._refuses = remembered(partial(refuses_missing_blobs, repository))
        self._lost_blobs = False

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
        """See Target. Raises AlreadyExists when the reference names something else."""
        desc = self._tag.ask()
        self._checked = False  # it may be an image by now
        self._check()
        return Current() if desc is None else read_current(self._repository, desc)

    def holds(self, cache: WrappedCache, /) -> bool:
        """See Target.

        A registry that refuses manifests of missing blobs has all blobs of a manifest that it
        takes. With `trust-existing` it is enough that it took this one once.
        """
        form = cache.wrapped.form
        # Two requests at once, to wait for one round trip only.
        refuses = soon(partial(self._refuses, form)) if self._trusting else None
        known = self._tag.known()
        if known is None or known.digest != cache.wrapped.descriptor.digest:
            return False
        if refuses is not None:
            return refuses()
        # The larger request first: it gets the connection that is open.
        questions = (partial(self._takes, cache), partial(self._refuses, form))
        return all(map_parallel(_ask, questions, len(questions)))

    def missing(self, descs: Iterable[Descriptor], /) -> set[Digest]:
        """See Ingester. Raises AlreadyExists when the reference names something else."""
        self._check()
        trusted = self._trusted()
        wanted = [desc for desc in descs if desc.digest not in trusted]
        # `publish` puts a manifest together with its tag, in one request.
        manifests = {desc.digest for desc in wanted if desc.media_type in _MANIFESTS}
        blobs = [desc for desc in wanted if desc.digest not in manifests]
        return self._repository.missing(blobs) | manifests

    def mount(self, desc: Descriptor, provider: Provider, /) -> bool:
        """See Mounter."""
        return self._repository.mount(desc, provider)

    def ingest(self, desc: Descriptor, reader: Reader, /) -> None:
        """See Ingester."""
        self._check()
        if desc.media_type in _MANIFESTS:
            return  # `publish` puts it, under its tag
        self._repository.ingest(desc, reader)

    def publish(self, cache: WrappedCache, /, replacing: Current | None = None) -> WrappedCache:
        """See Target. A registry that refuses the form gets the cache in another one."""
        # With `trust-existing` only this form is known to be checked by the registry.
        in_any_form = not self._trusting
        try:
            if replacing is None:
                return self._tag.put(cache, in_any_form=in_any_form)
            return self._tag.replace(replacing.version, cache, in_any_form=in_any_form)
        except RegistryError as error:
            if self._lost_blobs or not lacks_blobs(error):
                raise
            # The blobs were there a moment ago, or the manifest said so. Retry without trust.
            self._lost_blobs, self._trusting = True, False
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

    def _check(self) -> None:
        """Find out once what the reference names. Raises AlreadyExists unless it may be written."""
        if self._checked:
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
        self._checked = True

    def _read(self, desc: Descriptor) -> Manifest:
        return decode_manifest(read_blob(self._repository, desc, limit=METADATA_LIMIT))

    def _trusted(self) -> frozenset[Digest]:
        """Give the blobs of the manifest under the tag, if the registry vouches for them."""
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


class RegistryImageTarget:
    """An ImageTarget over a reference."""

    def __init__(self, attrs: RegistryImagePush, repository: Repository) -> None:
        self._attrs = attrs
        self._repository = repository

    def __str__(self) -> str:
        return str(self._attrs.ref)

    @property
    def ingester(self) -> Ingester:
        """See ImageTarget."""
        return self._repository

    @property
    def parallelism(self) -> int:
        """See ImageTarget."""
        return self._attrs.parallelism

    def check(self) -> None:
        """See ImageTarget."""
        if not self._attrs.force and self._holds_a_cache():
            raise AlreadyExists(
                f"{self} is a build cache; choose another tag, or replace it with force=true"
            )

    def publish(self, root: Descriptor, raw: bytes, /) -> None:
        """See ImageTarget."""
        try:
            self._repository.put_manifest(self._attrs.ref.tag, raw, root.media_type)
        except NotFound as error:
            # To a caller NotFound means that the image to push is not there.
            raise BackendError(str(error), op="write the manifest") from error

    def close(self) -> None:
        """See ImageTarget."""
        self._repository.close()

    def _holds_a_cache(self) -> bool:
        try:
            found = self._repository.resolve(self._attrs.ref.tag)
            raw = read_blob(self._repository, found, limit=METADATA_LIMIT)
            return decode_manifest(raw).cache_config is not None
        except (NotFound, WireFormat):
            return False


def refuses_missing_blobs(repository: Repository, form: Form) -> bool:
    """Put a manifest of blobs that the registry cannot have. Says whether it is refused.

    The manifest has no tag. If it is taken it is deleted again, as far as that is allowed; it is
    always the same, so a registry has it once at most.
    """
    layer = Descriptor.of(_ABSENT, mediatype.OCI_LAYER)
    raw = encode_manifest(form, [layer], Descriptor.of(_ABSENT + b"!", mediatype.CACHE_CONFIG_V0))
    digest = Digest.of(raw)
    try:
        repository.put_manifest(str(digest), raw, form.media_type)
    except RegistryError as error:
        return lacks_blobs(error)
    except (BackendError, NotFound):
        return False
    repository.delete_manifest(digest)
    return False


def lacks_blobs(error: RegistryError) -> bool:
    """Say whether a manifest was refused because of a blob that is not there."""
    return any(said.startswith(_BLOB_UNKNOWN) for said in error.diagnostics)
