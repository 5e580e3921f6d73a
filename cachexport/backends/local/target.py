"""Writing a cache to a local directory, and `reset=true`: deleting unreferenced blobs."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.backends.local.ingest import LayoutIngester
from cachexport.backends.local.layout import Layout, check_target
from cachexport.backends.local.names import Names
from cachexport.content.files.errors import translated
from cachexport.content.parallel import DEFAULT_THREADS
from cachexport.contract.reading import Current, reached_sizes, read_current
from cachexport.errors import CachexportError, FailedPrecondition, NotFound
from cachexport.model.envelope.manifest import IMPORT_LIMIT
from cachexport.oci.index import version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cachexport.backends.local.attrs import LocalExport
    from cachexport.content.protocols import Ingester
    from cachexport.contract.export import CommonExport
    from cachexport.model.envelope.cache import WrappedCache
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest

_log = logging.getLogger(__name__)


class LocalTarget:
    """A Target over `dest`, an OCI image layout or a directory that becomes one."""

    def __init__(self, attrs: LocalExport) -> None:
        self._attrs = attrs
        self._layout = Layout(Path(attrs.dest))
        self._ingester = LayoutIngester(self._layout)
        self._reset_is_due = False

    @property
    def common(self) -> CommonExport:
        """See Target."""
        return self._attrs

    @property
    def ingester(self) -> Ingester:
        """See Target."""
        return self._ingester

    @property
    def parallelism(self) -> int:
        """See Target. More than BuildKit's four make a disk no faster."""
        return DEFAULT_THREADS

    @property
    def import_limit(self) -> int | None:
        """See Target."""
        return IMPORT_LIMIT

    def current(self) -> Current:
        """See Target. No reset deletes its blobs before `close`."""
        check_target(self._layout)
        try:
            names = Names(self._layout)
            names.resolve(self._attrs.tag)
            self._ingester.begin()
            index = names.index()
        except NotFound:
            return Current()
        desc = index.find(self._attrs.tag)
        if desc is None:
            return Current()
        self._renew(desc)
        current = read_current(self._layout, desc)
        return replace(current, version=version(index.named(self._attrs.tag)))

    def holds(self, cache: WrappedCache, /) -> bool:
        """See Target. Nothing is gained: asking for each blob costs next to nothing here."""
        return False

    def publish(self, cache: WrappedCache, /, replacing: Current | None = None) -> WrappedCache:
        """See Target. The name gets the age of its manifest's file, which is set to now.

        Raises FailedPrecondition when the cache's manifest was not ingested, Conflict when the
        index stays locked.
        """
        self._ingester.begin()
        desc = cache.wrapped.descriptor
        if not self._layout.holds(desc):
            raise FailedPrecondition(f"{desc.digest} is not in {self._layout.directory} yet")
        self._renew(desc)
        self._ingester.sync()
        expected = None if replacing is None else replacing.version
        Names(self._layout).publish(self._attrs.tag, desc, replacing=expected)
        self._reset_is_due = self._attrs.reset
        return cache

    def close(self) -> None:
        """See Target. `reset` deletes only now, since this may be a source of the same run."""
        try:
            if self._reset_is_due:
                self._reset_is_due = False
                self._reset()
        finally:
            self._ingester.close()

    def _renew(self, desc: Descriptor) -> None:
        """Set the age of the manifest, which is that of the name, to now: it is in use."""
        # In a shared directory the file may be another user's.
        with suppress(CachexportError):
            self._layout.renew(desc.digest)

    def _reset(self) -> None:
        started = self._ingester.begin().started
        with self._ingester.alone() as alone:
            if alone:
                delete_unreferenced(Names(self._layout), written_before=started)
            else:
                directory = self._layout.directory
                _log.warning("%s: not reset, another export may be running there", directory)


def delete_unreferenced(names: Names, *, written_before: int) -> None:
    """Delete the blobs that no entry of the index leads to and that are not newer than given.

    `written_before` is in nanoseconds since 1970; it spares the blobs that BuildKit writes at
    the same time. Call it while no other export of ours is running. Deletes nothing where it is
    uncertain what is needed: a manifest is unreadable, of an unknown kind or new. Any error is
    logged as a warning only, since the cache itself is complete.
    """
    directory = names.layout.directory
    try:
        index = names.index()
        subject = [index.subject] if index.subject else []
        reached = reached_sizes(names.layout, [*index.manifests, *subject])
        if names.index() != index:
            raise FailedPrecondition("index.json was changed meanwhile")
        _delete(names.layout, set(names.layout.digests()) - reached.keys(), written_before)
    except CachexportError as error:
        _log.warning("%s: not all that is unused was deleted: %s", directory, error)


def _delete(layout: Layout, digests: Iterable[Digest], written_before: int) -> None:
    for digest in sorted(digests):
        path = layout.blob(digest)
        with translated("write", path):
            if path.lstat().st_mtime_ns <= written_before:
                os.unlink(path)
                _log.info("%s: deleted the unused blob %s", layout.directory, digest)
