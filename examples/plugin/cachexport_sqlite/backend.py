"""What `type=sqlite` is. Nothing heavy is imported before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.plugin import ObjectBackend, Store

if TYPE_CHECKING:
    from cachexport_sqlite.attrs import Connection


class SqliteBackend(ObjectBackend):
    """Sources, targets and places: all of that is ObjectBackend's."""

    kind = "sqlite"

    def attributes(self) -> tuple[type, type]:
        """See ObjectBackend."""
        from cachexport_sqlite.attrs import SqliteExport, SqliteImport

        return SqliteImport, SqliteExport

    def open_store(self, attrs: Connection, /) -> Store:
        """See ObjectBackend."""
        from cachexport.plugin import Keys
        from cachexport_sqlite.client import SqliteObjects

        keys = Keys(blobs="blobs/", names="manifests/")
        return Store(client=SqliteObjects(attrs.file), keys=keys)


backend = SqliteBackend()
