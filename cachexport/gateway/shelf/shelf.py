"""What a gateway serves of one place: manifests by name and digest, blobs, names."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from cachexport.content.verify import open_verified, read_blob
from cachexport.contract.place import Entry
from cachexport.contract.reading import read_caches
from cachexport.errors import NotFound, WireFormat
from cachexport.gateway.shelf.names import ByPath, Forms
from cachexport.gateway.shelf.origins import Recent, ShelfContent, first
from cachexport.model.envelope.cache import WrappedCache
from cachexport.model.envelope.manifest import Manifest, decode_manifest
from cachexport.oci import gojson, mediatype
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.gateway.shelf.names import Naming
    from cachexport.gateway.shelf.origins import HostingPlace, Origin
    from cachexport.model.envelope.manifest import (
        Form,
    )


_KNOWN_TYPES = mediatype.MANIFESTS | mediatype.INDEXES
_FIELDS = frozenset({"mediaType", "config", "layers", "manifests"})


def read_manifest(raw: bytes, stated: str = "") -> Manifest:
    """Read a manifest of a known type. Raises WireFormat.

    Other types are refused: their blobs cannot be found, so nobody could check that they are there.
    In OCI `mediaType` is optional; without it the type is `stated`, or guessed from the blobs.
    """
    found = gojson.fields(gojson.loads(raw), _FIELDS, "")
    manifest = decode_manifest(raw)
    if found.get("mediaType"):
        if manifest.media_type != found["mediaType"]:
            raise WireFormat(f"no manifest that is known here: {found['mediaType']}", "mediaType")
    else:
        manifest = replace(manifest, media_type=_type(manifest, stated))
    has_all = "manifests" in found if manifest.is_index else {"config", "layers"} <= found.keys()
    if not has_all:
        raise WireFormat("a manifest has config and layers, or manifests")
    return manifest


def check_stated(manifest: Manifest, stated: str) -> None:
    """Raise WireFormat when a Content-Type names another type of manifest."""
    if stated in _KNOWN_TYPES and stated != manifest.media_type:
        raise WireFormat(f"the Content-Type is {stated}, the manifest {manifest.media_type}")


def _type(manifest: Manifest, stated: str) -> str:
    kinds = mediatype.INDEXES if manifest.is_index else mediatype.MANIFESTS
    if stated in kinds:
        return stated
    config = [manifest.config] if manifest.config else []
    named = [*config, *manifest.layers, *manifest.manifests]
    if any(desc.media_type.startswith("application/vnd.oci.") for desc in named):
        return mediatype.OCI_INDEX if manifest.is_index else mediatype.OCI_MANIFEST
    return manifest.media_type


MANIFEST_LIMIT = 4 << 20
"""The most bytes of a manifest, pushed or served, as in other registries."""
_BEGINS = (b"{", b" ", b"\n", b"\r", b"\t")
"""How a JSON object may begin. Nothing else is read whole into memory as a manifest."""


@dataclass(frozen=True, slots=True)
class Served:
    """A manifest as it is served."""

    descriptor: Descriptor
    raw: bytes
    origin: str
    """The title of the place that it is from."""


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """A place behind references. Threads may share it. All methods raise what the place raises."""

    place: HostingPlace
    """The store, which is written to."""
    origins: Sequence[Origin]
    """The places that are read, in order: the store, then its upstream places."""
    naming: Naming = field(default_factory=ByPath)
    forms: Forms = field(default_factory=Forms)
    recent: Recent = field(default_factory=Recent)

    @cached_property
    def content(self) -> ShelfContent:
        """The blobs of all origins."""
        return ShelfContent(self.recent, self.origins)

    @cached_property
    def alone(self) -> Shelf:
        """The store without its upstream places."""
        return replace(self, origins=[origin for origin in self.origins if origin.is_store])

    @cached_property
    def upstream(self) -> list[Shelf]:
        """The upstream places, each as a shelf of its own."""
        return [replace(self, origins=[each]) for each in self.origins if not each.is_store]

    def find(self, repository: str, tag: str) -> Served:
        """Give the manifest of a tag, in the form that the rules want. Raises NotFound."""
        form = self.forms.of(repository, tag)

        def find(origin: Origin) -> Served:
            naming = origin.naming or self.naming
            return self._find(origin.place, naming.name(repository, tag), form)

        return first(self.origins, find, f"{repository}:{tag}")

    def manifest(self, digest: Digest) -> Served:
        """Give a manifest by its digest. Raises NotFound."""
        made = self.recent.get(digest)
        if made is not None:
            return _as_manifest(made, self.place.title)
        return first(self.origins, lambda origin: _read_manifest(origin.place, digest), digest)

    def tags(self, repository: str) -> list[str]:
        """List the tags of a repository, sorted. Raises NotFound when there is none."""
        found = [tag for its, tag in self._references() if its == repository]
        if not found:
            raise NotFound(f"there is no {repository}")
        return sorted(found)

    def tagged(self, repository: str, digest: Digest) -> list[str]:
        """List the tags that stand for a manifest. Raises NotFound when the repository has none."""
        found = []
        for tag in self.tags(repository):
            with suppress(NotFound):
                if self.find(repository, tag).descriptor.digest == digest:
                    found.append(tag)
        return found

    def withdraw(self, repository: str, tag: str) -> None:
        """Remove a name. Raises NotFound when there is none, and the errors of the place."""
        name = self.naming.name(repository, tag)
        going = [entry for entry in self._entries() if entry.name == name]
        is_assigned = name in {entry.name for entry in self.place.assigned()}
        if not going and not is_assigned:
            raise NotFound(f"there is no {repository}:{tag}")
        self.place.unassign(name)
        for error in self.place.withdraw(going).values():
            raise error

    def unserved(self) -> list[str]:
        """List the names that have no reference, so that nobody can pull them."""
        return [name for name in self._names() if self.naming.reference(name) is None]

    def close(self) -> None:
        """Close all places; twice is fine."""
        for origin in self.origins:
            origin.place.close()

    def _find(self, place: HostingPlace, name: str, form: Form | None) -> Served:
        try:
            desc = place.resolve(name)
        except NotFound:
            return self._cache(place, name, form)
        raw = read_blob(place.content, desc, limit=MANIFEST_LIMIT)
        manifest = read_manifest(raw, desc.media_type)
        if manifest.cache_config is None or form in (None, manifest.form):
            return Served(Descriptor.of(raw, manifest.media_type), raw, place.title)
        [cache] = read_caches(place.content, desc)
        assert isinstance(cache, WrappedCache)
        return self._served(place, cache, form)

    def _cache(self, place: HostingPlace, name: str, form: Form | None) -> Served:
        if not place.apart:
            raise NotFound(f"there is no {name!r} in {place.title}")
        caches = place.contents(Entry(name=name, version="", modified=None)).caches
        for cache in caches:
            if isinstance(cache, WrappedCache):
                return self._served(place, cache, form)
        raise NotFound(f"{name!r} in {place.title} is an empty cache")

    def _served(self, place: HostingPlace, cache: WrappedCache, form: Form | None) -> Served:
        wrapped = cache.in_form(form or cache.wrapped.form).wrapped
        # Where BuildKit wrote the name, neither of both is stored.
        self.recent.keep((wrapped.config, wrapped.manifest))
        return Served(wrapped.descriptor, wrapped.manifest, place.title)

    def _names(self) -> list[str]:
        return sorted({entry.name for entry in (*self._entries(), *self.place.assigned())})

    def _entries(self) -> list[Entry]:
        try:
            return self.place.entries()
        except NotFound:
            return []  # the place is not there before the first push

    def _references(self) -> Iterator[tuple[str, str]]:
        for name in self._names():
            reference = self.naming.reference(name)
            if reference is not None:
                yield reference


def _read_manifest(place: HostingPlace, digest: Digest) -> Served:
    desc = Descriptor(digest=digest, size=place.content.info(digest).size)
    if desc.size > MANIFEST_LIMIT:
        raise NotFound(f"{digest} is no manifest")
    with closing(open_verified(place.content, desc)) as reader:
        begin = reader.read(1)
        if begin not in _BEGINS:
            raise NotFound(f"{digest} is no manifest")
        return _as_manifest(begin + reader.read(), place.title)


def _as_manifest(raw: bytes, origin: str) -> Served:
    try:
        media_type = read_manifest(raw).media_type
    except WireFormat as error:
        raise NotFound(f"{Digest.of(raw)} is no manifest") from error
    return Served(Descriptor.of(raw, media_type), raw, origin)
