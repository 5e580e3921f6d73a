"""All names and blobs of a layout."""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.backends.local.attrs import read_export, read_import
from cachexport.backends.local.ingest import LayoutIngester, file_system_time
from cachexport.backends.local.layout import Layout, check_source
from cachexport.backends.local.names import Names
from cachexport.content.clock import clock
from cachexport.content.files import lock
from cachexport.content.files.errors import translated
from cachexport.contract.attributes import known_attributes
from cachexport.contract.export import CommonExport
from cachexport.contract.place import Contents, Entry, Needs, StoredBlob
from cachexport.contract.reading import (
    is_cache_manifest,
    is_image_manifest,
    reached_sizes,
    read_caches,
)
from cachexport.contract.spec import Spec
from cachexport.errors import (
    BackendError,
    CachexportError,
    Conflict,
    ContentError,
    FailedPrecondition,
    Integrity,
    NotFound,
    Outdated,
    WireFormat,
)
from cachexport.model.envelope.cache import WrappedCache
from cachexport.oci import mediatype
from cachexport.oci.index import version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from cachexport.contract.place import Place, Written
    from cachexport.model.envelope.cache import Cache
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest
    from cachexport.oci.index import Index

_SECOND = 1e-9


class LocalPlace:
    """A Place over a layout, Sweepable and Hosting.

    `source` and `target` make specifications of names.
    """

    apart = ""
    """Caches and images have the same names."""

    shortest_grace = 0.0
    """Our exports hold a lock; BuildKit's client does not, see the README."""

    def __init__(self, layout: Layout, source: Callable[[str], Spec], target: Written) -> None:
        self._layout = layout
        self._names = Names(layout)
        self._listed: Mapping[str, Sequence[Descriptor]] = {}
        self.source = source
        self.target = target
        self.timeout = lock.TIMEOUT
        """Seconds for which `alone` waits for exports to end."""

    @property
    def title(self) -> str:
        """See Place."""
        return str(self._layout.directory)

    @property
    def storage(self) -> str:
        """See Sweepable."""
        return os.path.realpath(self._layout.blobs)  # a link, where layouts share them

    def entries(self) -> list[Entry]:
        """See Place. A name is as old as the file of its manifest."""
        check_source(self._layout)
        self._listed = named = self._names.index().by_name()
        return [self._entry(name, named[name]) for name in sorted(named)]

    def needs(self, entry: Entry, /) -> Needs:
        """See Place."""
        named = self._named(entry)
        with self._translated(entry):
            sizes = reached_sizes(self._layout, named)
            is_cache = all(is_cache_manifest(self._layout, desc) for desc in named)
            is_image = self._is_image(named)
        return Needs(is_cache=is_cache, is_image=is_image, sizes=sizes)

    def contents(self, entry: Entry, /) -> Contents:
        """See Place."""
        named = self._named(entry)
        with self._translated(entry):
            sizes = reached_sizes(self._layout, named)
            found = [self._caches(desc) for desc in named]
            is_image = self._is_image(named)
        # If an image has the name too, it counts as an image.
        caches = tuple(cache for several in found for cache in several) if all(found) else ()
        return Contents(is_cache=bool(caches), is_image=is_image, caches=caches, sizes=sizes)

    def salvage(self, entry: Entry, /) -> WrappedCache | None:
        """See Place. Of several the first counts, as it does for BuildKit."""
        try:
            caches = self.contents(entry).caches
        except (ContentError, WireFormat):
            return None
        found = [cache for cache in caches if isinstance(cache, WrappedCache)]
        return found[0] if found else None

    def withdraw(self, entries: Sequence[Entry], /) -> dict[str, CachexportError]:
        """See Place."""
        refused: dict[str, CachexportError] = {}

        def without(index: Index) -> Index:
            named = index.by_name()
            found = {entry.name: self._outdated(entry, named) for entry in entries}
            refused.clear()
            refused.update({name: error for name, error in found.items() if error})
            return index.without_all(found.keys() - refused.keys())

        self._names.index()  # raises where there is none, before one is made
        self._names.change(without)
        return refused

    @property
    def content(self) -> Layout:
        """See Hosting."""
        return self._layout

    @contextmanager
    def ingesting(self) -> Iterator[LayoutIngester]:
        """See Hosting."""
        with closing(LayoutIngester(self._layout)) as ingester:
            yield ingester

    def assigned(self) -> list[Entry]:
        """See Hosting: `entries` has all."""
        return []

    def resolve(self, name: str, /) -> Descriptor:
        """See Hosting. Of several entries the last counts: it is the newest."""
        named = self._names.index().named(name)
        if not named:
            raise NotFound(f"there is no {name!r} in {self.title}")
        return named[-1]

    def assign(self, name: str, desc: Descriptor, /) -> None:
        """See Hosting. An entry that an image tool gave the name loses it too."""
        with self.ingesting() as ingester:
            ingester.begin()
            if not self._layout.renew(desc.digest):
                raise FailedPrecondition(f"{desc.digest} is not in {self.title}")
            ingester.sync()
            self._names.change(lambda index: index.without_all({name}).with_tag(name, desc))

    def unassign(self, name: str, /) -> None:
        """See Hosting: nothing is kept apart."""

    def now(self) -> float:
        """See Sweepable. Without permission to write it is the time of this machine."""
        try:
            return file_system_time(self._layout) * _SECOND
        except BackendError:
            return clock().now()

    def strays(self, beside: Sequence[Place], /) -> Iterable[Mapping[Digest, int]]:
        """See Sweepable: entries of the index without a name, and the index's subject."""
        index = self._names.index()
        subject = [index.subject] if index.subject else []
        yield reached_sizes(self._layout, [*index.unnamed(), *subject])

    @contextmanager
    def alone(self) -> Iterator[None]:
        """See Sweepable."""
        try:
            with translated("lock", self._layout.directory):
                os.makedirs(self._layout.private, 0o755, exist_ok=True)
                taken = lock.acquire(self._layout.exports_lock, timeout=self.timeout)
        except Conflict as error:
            error.add_note("an export is running there; try again when it has ended")
            raise
        try:
            yield
        finally:
            taken.close()

    def blobs(self) -> Iterator[StoredBlob]:
        """See Sweepable."""
        for digest, status in self._layout.listing():
            modified = status.st_mtime_ns * _SECOND
            yield StoredBlob(digest=digest, size=status.st_size, modified=modified)

    def present(self, digests: Iterable[Digest], /) -> set[Digest]:
        """See Sweepable."""
        return {digest for digest in digests if self._stored(digest)}

    def sweep(
        self, is_doomed: Callable[[StoredBlob], bool], /
    ) -> Iterator[tuple[StoredBlob, bool]]:
        """See Sweepable."""
        for stored in self.blobs():
            goes = is_doomed(stored)
            if goes:
                self.delete([stored.digest])
            yield stored, goes

    def touch(self, entry: Entry, digests: Iterable[Digest], /) -> set[Digest]:
        """See Sweepable. The name is as old as its manifest, which is among the blobs."""
        return {digest for digest in digests if not self._layout.renew(digest)}

    def delete(self, digests: Sequence[Digest], /) -> None:
        """See Sweepable."""
        for digest in digests:
            path = self._layout.blob(digest)
            with translated("write", path):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """See Place. Nothing is held."""

    def _outdated(
        self, entry: Entry, named: Mapping[str, Sequence[Descriptor]]
    ) -> CachexportError | None:
        """Give an error if a name was written since it was listed, even with the same entry."""
        if entry.name not in named:
            return None
        now = self._entry(entry.name, named[entry.name])
        if (now.version, now.modified) == (entry.version, entry.modified):
            return None
        return Outdated(f"somebody else wrote {entry.name!r} in {self.title} meanwhile")

    def _named(self, entry: Entry) -> Sequence[Descriptor]:
        # Reading the index again for each of many names would take long.
        listed = self._listed.get(entry.name, ())
        if version(listed) == entry.version:
            return listed
        return self._named_now(entry)

    def _named_now(self, entry: Entry) -> Sequence[Descriptor]:
        named = self._names.index().named(entry.name)
        if not named:
            raise NotFound(f"there is no {entry.name!r} in {self.title}")
        return named

    @contextmanager
    def _translated(self, entry: Entry) -> Iterator[None]:
        """Raise Integrity for a NotFound in the block: the name is there, its content is not."""
        try:
            yield
        except NotFound as error:
            if version(self._named_now(entry)) != entry.version:
                raise NotFound(f"{entry.name!r} in {self.title} is another one now") from error
            raise Integrity(f"{entry.name!r} in {self.title} leads nowhere: {error}") from error

    def _is_image(self, named: Sequence[Descriptor]) -> bool:
        return any(is_image_manifest(self._layout, desc) for desc in named)

    def _caches(self, desc: Descriptor) -> Sequence[Cache]:
        """Read the cache that an entry names; nothing for an image with an inline cache."""
        is_manifest = desc.media_type in mediatype.MANIFESTS | mediatype.INDEXES
        found = read_caches(self._layout, desc) if is_manifest else ()
        return [cache for cache in found if isinstance(cache, WrappedCache)]

    def _entry(self, name: str, named: Sequence[Descriptor]) -> Entry:
        times = [stored.modified for desc in named if (stored := self._stored(desc.digest))]
        return Entry(name=name, version=version(named), modified=max(times, default=None))

    def _stored(self, digest: Digest) -> StoredBlob | None:
        path = self._layout.blob(digest)
        try:
            with translated("read", path):
                status = path.lstat()
        except (NotFound, FailedPrecondition):
            return None  # deleted just now
        modified = status.st_mtime_ns * _SECOND
        return StoredBlob(digest=digest, size=status.st_size, modified=modified)


def local_place(spec: Spec) -> LocalPlace:
    """Give the place that the attributes of a source or a target name. Raises InvalidAttr."""
    given = dict(spec.attrs)
    given.pop("digest", None)
    directory = read_import(spec).src if "src" in given else read_export(spec).dest
    common = {key: given[key] for key in known_attributes(CommonExport) if key in given}

    def source(name: str) -> Spec:
        return Spec("local", {"src": directory, "tag": name})

    def target(name: str, *, force: bool = False) -> Spec:
        # `force` changes nothing here: an image keeps its entry beside the cache's.
        return Spec("local", {"dest": directory, "tag": name, **common})

    return LocalPlace(Layout(Path(directory)), source, target)
