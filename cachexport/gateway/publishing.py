"""Giving a pushed manifest its name."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cachexport.content.copy import ingest_bytes, move_missing
from cachexport.content.verify import read_blob
from cachexport.contract.opening import (
    open_targets,
)
from cachexport.contract.reading import METADATA_LIMIT, read_caches
from cachexport.errors import CachexportError, Integrity, NotFound, WireFormat
from cachexport.gateway.http.refusal import Refusal
from cachexport.gateway.shelf.shelf import check_stated, read_manifest
from cachexport.oci import mediatype
from cachexport.oci.descriptor import Descriptor
from cachexport.transfer.prepare import prepare
from cachexport.transfer.write import MANIFEST_KEY, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachexport.content.protocols import Ingester
    from cachexport.gateway.shelf.shelf import Shelf
    from cachexport.model.envelope.cache import Cache, WrappedCache
    from cachexport.model.envelope.manifest import Manifest
    from cachexport.oci.digest import Digest

_log = logging.getLogger(__name__)
_MOST = 1000
"""Manifests below an index. Each is read, and nested indexes can name very many."""
_CHILDREN = mediatype.MANIFESTS | mediatype.INDEXES


def _locks() -> tuple[threading.Lock, ...]:
    """Give enough locks for the names that are pushed to at once; sharing one is harmless."""
    return tuple(threading.Lock() for _ in range(64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """Writes manifests to a shelf. `limit` is the bytes of a config that builds can import."""

    shelf: Shelf
    limit: int
    only_caches: bool = False
    """Whether a pushed image gives the name to its inline cache alone, not to itself."""
    _turns: tuple[threading.Lock, ...] = field(default_factory=_locks)
    """Pushes to one name take turns: of merges that race, all but one would start over."""

    def store(self, raw: bytes, stated: str = "") -> Descriptor:
        """Store a manifest under its digest, once all that it names is there.

        `stated` is the media type that the client sent. Raises WireFormat when `raw` is no
        manifest, Refusal when a blob that it names is missing.
        """
        manifest = _read(raw, stated)
        with self.shelf.place.ingesting() as ingester:
            return self._stored(manifest, ingester)

    def publish(self, repository: str, tag: str, raw: bytes, stated: str = "") -> Descriptor:
        """Store a manifest and give it a name; a cache takes the format of the place.

        An image with inline caches is stored as it is. In a place that keeps images apart from
        caches, its inline caches also become one cache of the same name. Gives the descriptor that
        the name stands for afterwards. Raises as `store` does.
        """
        name = self.shelf.naming.name(repository, tag)
        manifest = _read(raw, stated)
        # Open until the manifest has its name: a prune before that would delete its blobs.
        with self.shelf.place.ingesting() as ingester:
            desc = self._stored(manifest, ingester)
            with self._turns[hash(name) % len(self._turns)]:
                return self._name(name, desc, manifest)

    def _stored(self, manifest: Manifest, ingester: Ingester) -> Descriptor:
        desc = Descriptor.of(manifest.raw, manifest.media_type)
        self._complete(manifest, ingester)
        ingest_bytes(ingester, desc, manifest.raw)
        return desc

    def _name(self, name: str, desc: Descriptor, manifest: Manifest) -> Descriptor:
        place = self.shelf.place
        if manifest.cache_config is not None:
            written = self._write(name, read_caches(self.shelf.content, desc))
            place.unassign(name)
            return written or desc
        if self.only_caches:
            return self._write(name, read_caches(self.shelf.content, desc)) or desc
        if place.apart:
            self._write_inline(name, desc)
        place.assign(name, desc)
        return desc

    def _complete(self, manifest: Manifest, ingester: Ingester) -> None:
        """Check that all blobs are there, and fetch those that only an upstream has."""
        self._complete_one(manifest, ingester)
        seen: set[Digest] = set()
        waiting = _children(manifest)
        while waiting:
            desc = waiting.pop()
            if desc.digest in seen:
                continue
            seen.add(desc.digest)
            if len(seen) > _MOST:
                message = f"an index leads to {_MOST:,} manifests at most"
                raise Refusal(400, "MANIFEST_INVALID", message)
            child = self._child(desc)
            self._complete_one(child, ingester)
            waiting += _children(child)

    def _complete_one(self, manifest: Manifest, ingester: Ingester) -> None:
        config = [manifest.config] if manifest.config else []
        named = [*config, *manifest.layers, *manifest.manifests]
        wanted = [desc for desc in named if not _is_elsewhere(desc)]
        lacking = [desc for desc in wanted if not self._holds(desc)]
        if lacking:
            [first, *_] = lacking
            message = f"there is no blob {first.digest} of {first.size} bytes"
            detail = [{"digest": desc.digest} for desc in lacking]
            raise Refusal(400, "MANIFEST_BLOB_UNKNOWN", message, detail=detail)
        silently = nullcontext(lambda _: None)
        move_missing(self.shelf.content, ingester, wanted, lambda _: silently)

    def _child(self, desc: Descriptor) -> Manifest:
        """Read a manifest that an index names. Raises Refusal when it is missing or no manifest."""
        try:
            raw = read_blob(self.shelf.content, desc, limit=METADATA_LIMIT)
            return read_manifest(raw, desc.media_type)
        except (NotFound, Integrity) as error:
            message = f"there is no manifest {desc.digest} of {desc.size} bytes"
            detail = [{"digest": desc.digest}]
            raise Refusal(400, "MANIFEST_BLOB_UNKNOWN", message, detail=detail) from error
        except WireFormat as error:
            message = f"{desc.digest} in the index is no manifest: {error}"
            raise Refusal(400, "MANIFEST_INVALID", message) from error

    def _holds(self, desc: Descriptor) -> bool:
        try:
            return self.shelf.content.info(desc.digest).size == desc.size
        except NotFound:
            return False

    def _write(self, name: str, caches: Sequence[Cache]) -> Descriptor | None:
        """Write caches as one, and give its manifest; None when the cache is empty."""
        written = {}
        with ExitStack() as stack:
            for _, target in open_targets(self.shelf.place.target(name)):
                stack.enter_context(closing(target))
                cache = prepare(caches, target.common)
                written = write(self._fitted(cache), target, import_limit=self.limit)
        return Descriptor.decode(json.loads(written[MANIFEST_KEY])) if written else None

    def _fitted(self, cache: WrappedCache) -> WrappedCache:
        # A pushed cache keeps its bytes, unless it is too large to be imported.
        is_large = max(len(cache.wrapped.config), len(cache.wrapped.manifest)) > self.limit
        return replace(cache, as_read=False, named=None) if is_large else cache

    def _write_inline(self, name: str, desc: Descriptor) -> None:
        try:
            if caches := read_caches(self.shelf.content, desc):
                self._write(name, caches)
        except CachexportError as error:
            _log.warning("the inline cache of %s did not become a cache: %s", name, error)


def _read(raw: bytes, stated: str) -> Manifest:
    manifest = read_manifest(raw, stated)
    check_stated(manifest, stated)
    return manifest


def _is_elsewhere(desc: Descriptor) -> bool:
    return bool(desc.urls) or mediatype.is_foreign(desc.media_type)


def _children(manifest: Manifest) -> list[Descriptor]:
    """List the manifests that an index names. Raises Refusal when it names anything else."""
    if not manifest.is_index or manifest.cache_config is not None:
        return []
    for desc in manifest.manifests:
        if desc.media_type not in _CHILDREN:
            message = f"{desc.digest} in an index is no manifest, but {desc.media_type!r}"
            raise Refusal(400, "MANIFEST_INVALID", message)
    return list(manifest.manifests)
