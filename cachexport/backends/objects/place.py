"""All names and blobs of a store, or of the part of it that has one prefix."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.backends.objects.images import ImageNames
from cachexport.backends.objects.layout import find_stored, pages
from cachexport.backends.objects.names import load_named, load_needs
from cachexport.backends.objects.sweep import Sweep, TouchingIngester, other_names
from cachexport.content.parallel import map_parallel
from cachexport.contract.place import Contents, Entry, Needs, StoredBlob
from cachexport.errors import CachexportError, FailedPrecondition, NotFound, Outdated, WireFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from cachexport.backends.objects.client import ObjectClient, Stored
    from cachexport.backends.objects.layout import Blobs, Keys
    from cachexport.contract.place import Place, Written
    from cachexport.contract.spec import Spec
    from cachexport.model.envelope.cache import WrappedCache
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest

_AT_ONCE = 1000
"""How many objects a store deletes with one request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPlace:
    """A Place over a store, and Hosting. `root` is what the keys of blobs and names share."""

    content: Blobs
    root: str
    source: Callable[[str], Spec]
    target: Written

    @property
    def title(self) -> str:
        """See Place."""
        return f"{self._client.place}/{self._keys.names}"

    def entries(self) -> list[Entry]:
        """See Place."""
        listed = [stored for page in pages(self._client, self._keys.names) for stored in page]
        return [self._entry(stored) for stored in listed if self._is_name(stored)]

    def needs(self, entry: Entry, /) -> Needs:
        """See Place. An empty cache, as BuildKit may write one over a good one, is none."""
        if entry.is_apart:
            return self._images.needs(entry.name)
        return load_needs(self.content, self._keys.name(entry.name))

    def contents(self, entry: Entry, /) -> Contents:
        """See Place."""
        if entry.is_apart:
            needs = self._images.needs(entry.name)
            return Contents(is_cache=False, is_image=needs.is_image, caches=(), sizes=needs.sizes)
        key = self._keys.name(entry.name)
        cache, _ = load_named(self.content, key)
        needs = load_needs(self.content, key)
        caches = (cache,) if cache.config.records else ()
        return Contents(is_cache=bool(caches), caches=caches, sizes=needs.sizes)

    def salvage(self, entry: Entry, /) -> WrappedCache | None:
        """See Place."""
        if entry.is_apart:
            return None
        try:
            cache, _ = load_named(self.content, self._keys.name(entry.name), salvage=True)
        except (NotFound, WireFormat):
            return None
        return cache if cache.config.records else None

    def withdraw(self, entries: Sequence[Entry], /) -> dict[str, CachexportError]:
        """See Place."""
        errors = map_parallel(self._withdraw, entries, self._client.parallelism)
        return {entry.name: error for entry, error in zip(entries, errors, strict=True) if error}

    @property
    def apart(self) -> str:
        """See Hosting: BuildKit would take an image under the name of a cache for a cache."""
        return f"{self._client.place}/{self._images.folder}"

    @contextmanager
    def ingesting(self) -> Iterator[TouchingIngester]:
        """See Hosting. A store has no locks: the grace is what keeps blobs safe.

        Raises Outdated at the end of the block when blobs were pruned just as they were needed.
        """
        ingester = TouchingIngester(self.content)
        yield ingester
        ingester.touched.confirm()

    def assigned(self) -> list[Entry]:
        """See Hosting."""
        return self._images.list()

    def resolve(self, name: str, /) -> Descriptor:
        """See Hosting."""
        return self._images.resolve(name)

    def assign(self, name: str, desc: Descriptor, /) -> None:
        """See Hosting."""
        self._images.assign(name, desc)

    def unassign(self, name: str, /) -> None:
        """See Hosting."""
        self._images.unassign(name)

    def close(self) -> None:
        """See Place."""
        self._client.close()

    @property
    def _images(self) -> ImageNames:
        return ImageNames(self.content, self.root)

    @property
    def _client(self) -> ObjectClient:
        return self.content.client

    @property
    def _keys(self) -> Keys:
        return self.content.keys

    def _withdraw(self, entry: Entry) -> CachexportError | None:
        """Delete a name. A store may know no conditions, so it is described right before."""
        client, key = self._client, self._key(entry)
        try:
            now = client.head(key)
            if now.version != entry.version or _is_later(now.modified, entry.modified):
                return Outdated(f"somebody else wrote {client.place}/{key} meanwhile")
            client.delete(key, version=entry.version)
        except NotFound:
            return None
        except Outdated as error:
            return None if self._is_gone(key) else error
        except CachexportError as error:
            return error
        return None

    def _is_gone(self, key: str) -> bool:
        # If an answer is lost the deletion is sent again, and some stores call that one outdated.
        try:
            self._client.head(key)
        except NotFound:
            return True
        except CachexportError:
            return False
        return False

    def _is_name(self, stored: Stored) -> bool:
        # Some tools leave an empty object in place of a folder.
        is_folder = stored.key.endswith("/") and not stored.size
        is_apart = stored.key.startswith(self._images.folder)
        return not is_folder and not is_apart and self._keys.digest(stored.key) is None

    def _key(self, entry: Entry) -> str:
        key = self._images.key if entry.is_apart else self._keys.name
        return key(entry.name)

    def _entry(self, stored: Stored) -> Entry:
        name = stored.key.removeprefix(self._keys.names)
        return Entry(name=name, version=stored.version, modified=stored.modified)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgelessPlace(ListedPlace):
    """One that is Unprunable: its store tells no ages, or can make nothing young."""

    @property
    def why_unprunable(self) -> str:
        """See Unprunable."""
        return (
            "its store does not tell how old blobs are, or cannot make them young, so those that "
            "an export counts on cannot be told from those that nobody needs; remove names with "
            "`cachexport rm`, or move those that stay to another place (`cachexport export "
            "--all-names`) and delete this one"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectPlace(ListedPlace):
    """One that is Sweepable: its store tells when blobs were written, and makes them young."""

    @property
    def storage(self) -> str:
        """See Sweepable."""
        return f"{self._client.place}/{self._keys.blobs}"

    @property
    def shortest_grace(self) -> float:
        """See Sweepable. An export counts on a younger blob without touching it."""
        return self.content.touch_refresh

    def now(self) -> float:
        """See Sweepable."""
        return self._client.now()

    def strays(self, beside: Sequence[Place], /) -> Iterable[Mapping[Digest, int]]:
        """See Sweepable: caches elsewhere below the same root, which may use the same blobs.

        Raises FailedPrecondition where it cannot be told what is whose.
        """
        keys = self._keys
        if not keys.blobs or not keys.names or keys.blobs.startswith(keys.names):
            raise FailedPrecondition(
                f"{self.title} has no prefix of their own for blobs and for names, so what else "
                "is there cannot be told from them; nothing is deleted there"
            )
        known = [place for place in (self, *beside) if isinstance(place, ObjectPlace)]
        names = {place.content.keys.names for place in known}
        yield from other_names(
            self.content, self.root, names | {place._images.folder for place in known}
        )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """See Sweepable. A store has no locks: the grace is what keeps exports safe."""
        yield

    def blobs(self) -> Iterator[StoredBlob]:
        """See Sweepable."""
        for page in pages(self._client, self._keys.blobs):
            yield from filter(None, map(self._blob, page))

    def present(self, digests: Iterable[Digest], /) -> set[Digest]:
        """See Sweepable."""
        return set(self.content.sizes(digests))

    def sweep(
        self, is_doomed: Callable[[StoredBlob], bool], /
    ) -> Iterator[tuple[StoredBlob, bool]]:
        """See Sweepable."""

        def is_doomed_blob(stored: Stored) -> bool:
            blob = self._blob(stored)
            return blob is not None and is_doomed(blob)

        for stored, is_gone in Sweep(self.content, is_doomed_blob).run():
            blob = self._blob(stored)
            if blob is not None:
                yield blob, is_gone

    def touch(self, entry: Entry, digests: Iterable[Digest], /) -> set[Digest]:
        """See Sweepable."""
        client, keys = self._client, self._keys
        wanted = {keys.blob(digest): digest for digest in digests}
        stored = find_stored(client, keys.blobs, wanted)
        map_parallel(client.touch, stored.values(), client.parallelism)
        client.touch(client.head(self._key(entry)))
        return {digest for key, digest in wanted.items() if key not in stored}

    def delete(self, digests: Sequence[Digest], /) -> None:
        """See Sweepable."""
        keys = [self._keys.blob(digest) for digest in digests]
        for start in range(0, len(keys), _AT_ONCE):
            self._client.delete_all(keys[start : start + _AT_ONCE])

    def _blob(self, stored: Stored) -> StoredBlob | None:
        digest = self._keys.digest(stored.key)
        if digest is None:
            return None
        modified = math.inf if stored.modified is None else stored.modified  # unknown: it stays
        return StoredBlob(digest=digest, size=stored.size, modified=modified)


def _is_later(now: float | None, was: float | None) -> bool:
    return now is not None and was is not None and now >= was + 1  # some count in whole seconds
