"""Writing a cache to a local directory."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.backends.local.ingest import LayoutIngester
from cachexport.backends.local.layout import Layout
from cachexport.backends.local.names import Names
from cachexport.backends.local.reset import delete_unreferenced
from cachexport.errors import FailedPrecondition

if TYPE_CHECKING:
    from cachexport.backends.local.attrs import LocalExport
    from cachexport.content.protocols import Ingester
    from cachexport.envelope.cache import WrappedCache
    from cachexport.spec import CommonExport

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

    def publish(self, cache: WrappedCache, /) -> WrappedCache:
        """See Target.

        Raises FailedPrecondition when the cache's manifest was not ingested, Conflict when the
        index stays locked.
        """
        self._ingester.begin()
        desc = cache.wrapped.descriptor
        if not self._layout.holds(desc):
            raise FailedPrecondition(f"{desc.digest} is not in {self._layout.directory} yet")
        self._ingester.sync()
        Names(self._layout).publish(self._attrs.tag, desc)
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

    def _reset(self) -> None:
        started = self._ingester.begin().started
        with self._ingester.alone() as alone:
            if alone:
                delete_unreferenced(Names(self._layout), written_before=started)
            else:
                directory = self._layout.directory
                _log.warning("%s: not reset, another export may be running there", directory)
