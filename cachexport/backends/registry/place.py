"""All tags of a repository. Its blobs are freed by the registry's own garbage collection."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cachexport.content.parallel import map_parallel
from cachexport.content.protocols import Info
from cachexport.content.verify import read_blob
from cachexport.contract.place import Contents, Entry, Needs
from cachexport.contract.reading import METADATA_LIMIT, read_caches
from cachexport.errors import CachexportError, ContentError, NotFound, Outdated, Shared, WireFormat
from cachexport.model.envelope.cache import WrappedCache
from cachexport.model.envelope.manifest import decode_manifest
from cachexport.oci import mediatype

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from cachexport.backends.registry.repository import Repository
    from cachexport.content.protocols import Reader
    from cachexport.contract.place import Written
    from cachexport.contract.spec import Spec
    from cachexport.model.envelope.manifest import Manifest
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest


class RegistryPlace:
    """A Place over a repository, and Hosting. `source` and `target` make specifications of tags."""

    apart = ""
    """A tag stands for one manifest, whatever that is."""

    def __init__(
        self,
        repository: Repository,
        source: Callable[[str], Spec],
        target: Written,
        parallelism: int,
    ) -> None:
        self._repository = repository
        self._parallelism = parallelism
        self.source = source
        self.target = target

    @property
    def title(self) -> str:
        """See Place."""
        return self._repository.place

    def entries(self) -> list[Entry]:
        """See Place. Registries do not tell when a tag was written."""
        return [
            Entry(name=tag, version=desc.digest, modified=None)
            for tag, desc in self._resolved()
            if desc is not None
        ]

    def needs(self, entry: Entry, /) -> Needs:
        """See Place. A manifest of an unknown kind is no cache and needs nothing but itself."""
        return self._needs(entry)[1]

    def contents(self, entry: Entry, /) -> Contents:
        """See Place."""
        desc, needs = self._needs(entry)
        caches = read_caches(self._repository, desc) if needs.is_cache else ()
        return Contents(
            is_cache=needs.is_cache, is_image=needs.is_image, caches=caches, sizes=needs.sizes
        )

    def salvage(self, entry: Entry, /) -> WrappedCache | None:
        """See Place."""
        try:
            caches = self.contents(entry).caches
        except (ContentError, WireFormat):
            return None
        found = [cache for cache in caches if isinstance(cache, WrappedCache)]
        return found[-1] if found else None

    def withdraw(self, entries: Sequence[Entry], /) -> dict[str, CachexportError]:
        """See Place. A manifest goes with all of its tags, so all of them have to go."""
        going = {entry.name: entry.version for entry in entries}
        now = {tag: desc for tag, desc in self._resolved() if desc is not None}
        listed = {tag for tag, desc in now.items() if desc.digest == going.get(tag)}
        staying = self._staying(now, listed)
        refused = {
            name: why for name in going if (why := self._obstacle(name, going, now, staying))
        }
        digests = {now[name].digest for name in going if name in now and name not in refused}
        for digest, error in self._delete_all(sorted(digests)).items():
            refused |= {name: error for name in going if name in now and now[name].digest == digest}
        return refused

    @property
    def content(self) -> RegistryContent:
        """See Hosting."""
        return RegistryContent(self._repository)

    @contextmanager
    def ingesting(self) -> Iterator[Repository]:
        """See Hosting. Nothing keeps the registry's garbage collection away meanwhile."""
        yield self._repository

    def assigned(self) -> list[Entry]:
        """See Hosting: `entries` has all."""
        return []

    def resolve(self, name: str, /) -> Descriptor:
        """See Hosting."""
        return self._repository.resolve(name)

    def assign(self, name: str, desc: Descriptor, /) -> None:
        """See Hosting."""
        raw = read_blob(self._repository, desc, limit=METADATA_LIMIT)
        self._repository.put_manifest(name, raw, desc.media_type)

    def unassign(self, name: str, /) -> None:
        """See Hosting: nothing is kept apart."""

    def close(self) -> None:
        """See Place."""
        self._repository.close()

    def _needs(self, entry: Entry) -> tuple[Descriptor, Needs]:
        desc = self._repository.resolve(entry.name)
        try:
            manifest = decode_manifest(read_blob(self._repository, desc, limit=METADATA_LIMIT))
        except WireFormat:
            return desc, Needs(is_cache=False, sizes={desc.digest: desc.size})
        is_cache = manifest.cache_config is not None
        sizes = _sizes(desc, manifest)
        return desc, Needs(is_cache=is_cache, is_image=manifest.is_image, sizes=sizes)

    def _resolved(self) -> list[tuple[str, Descriptor | None]]:
        tags = sorted(self._repository.tags())
        return list(zip(tags, map_parallel(self._resolve, tags, self._parallelism), strict=True))

    def _resolve(self, tag: str) -> Descriptor | None:
        try:
            return self._repository.resolve(tag)
        except NotFound:
            return None

    def _staying(
        self, now: Mapping[str, Descriptor], going: Collection[str]
    ) -> dict[Digest, list[str]]:
        """Give each manifest that a tag needs which is not going away, with these tags."""
        tags: dict[Digest, list[str]] = {}
        kept = {desc.digest: desc for tag, desc in now.items() if tag not in going}
        found = map_parallel(self._reached, kept.values(), self._parallelism)
        reached = dict(zip(kept, found, strict=True))
        for tag in now.keys() - going:
            for digest in reached[now[tag].digest]:
                tags.setdefault(digest, []).append(tag)
        return tags

    def _reached(self, desc: Descriptor) -> set[Digest]:
        """Give a manifest's digest, and those of all that it names if it is an index."""
        found: set[Digest] = set()
        pending = [desc]
        while pending:
            current = pending.pop()
            if current.digest not in found and current.media_type in mediatype.INDEXES:
                pending += self._children(current)
            found.add(current.digest)
        return found

    def _children(self, desc: Descriptor) -> Sequence[Descriptor]:
        try:
            raw = read_blob(self._repository, desc, limit=METADATA_LIMIT)
            return decode_manifest(raw).manifests
        except (NotFound, WireFormat):
            return ()  # deleted just now, or no index

    def _obstacle(
        self,
        name: str,
        going: Mapping[str, str],
        now: Mapping[str, Descriptor],
        staying: Mapping[Digest, list[str]],
    ) -> CachexportError | None:
        desc = now.get(name)
        if desc is None:
            return None
        if desc.digest != going[name]:
            return Outdated(f"somebody else wrote {self.title}:{name} meanwhile")
        others = staying.get(desc.digest)
        if others is None:
            return None
        return Shared(
            f"{self.title}:{name} cannot be removed without {', '.join(sorted(others))}: they need "
            "the same manifest, and a registry deletes it with all of its tags"
        )

    def _delete_all(self, digests: Sequence[str]) -> dict[str, CachexportError]:
        def delete(digest: str) -> CachexportError | None:
            try:
                self._repository.remove_manifest(digest)
            except CachexportError as error:
                return error
            return None

        errors = map_parallel(delete, digests, self._parallelism)
        return {digest: error for digest, error in zip(digests, errors, strict=True) if error}


def _sizes(desc: Descriptor, manifest: Manifest) -> dict[Digest, int]:
    single = [child for child in (desc, manifest.config, manifest.subject) if child is not None]
    return {child.digest: child.size for child in (*single, *manifest.layers, *manifest.manifests)}


@dataclass(frozen=True, slots=True)
class RegistryContent:
    """Provider and InfoProvider over blobs and manifests, which the API keeps apart."""

    repository: Repository

    def info(self, digest: Digest, /) -> Info:
        """See InfoProvider."""
        found = self.repository.sizes([digest])
        if digest in found:
            return Info(digest, found[digest])
        return Info(digest, self.repository.resolve(digest).size)

    def open(self, desc: Descriptor, /) -> Reader:
        """See Provider."""
        try:
            return self.repository.open(desc)
        except NotFound:
            if desc.media_type:
                raise
            known = self.repository.resolve(desc.digest)
            return self.repository.open(replace(desc, media_type=known.media_type))
