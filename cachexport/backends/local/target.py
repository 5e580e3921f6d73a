"""Writing a cache to a local directory."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.backends.local.ingest import LayoutIngester
from cachexport.backends.local.layout import Layout, check_target
from cachexport.backends.local.names import Names
from cachexport.backends.local.reset import delete_unreferenced
from cachexport.content.parallel import DEFAULT_THREADS
from cachexport.contract.reading import (
    Current,
    read_current,
)
from cachexport.errors import CachexportError, FailedPrecondition, NotFound
from cachexport.model.envelope.manifest import (
    IMPORT_LIMIT,
)
from cachexport.oci.index import version

if TYPE_CHECKING:
    from cachexport.backends.local.attrs import LocalExport
    from cachexport.content.protocols import Ingester
    from cachexport.contract.export import CommonExport
    from cachexport.model.envelope.cache import WrappedCache
    from cachexport.oci.descriptor import Descriptor

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
        """See Target. What is there is kept from resets until `close`."""
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
        """See Target. A look at each blob costs next to nothing here."""
        return False

    def publish(self, cache: WrappedCache, /, replacing: Current | None = None) -> WrappedCache:
        """See Target. A name is as old as its manifest, which is made young.

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
        """See Target. Now `reset` deletes: until now this could have been a source as well."""
        try:
            if self._reset_is_due:
                self._reset_is_due = False
                self._reset()
        finally:
            self._ingester.close()

    def _renew(self, desc: Descriptor) -> None:
        """Have the age of the manifest, which is the name's, begin anew: it is still in use."""
        # Where users share a directory the file may be another one's.
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
