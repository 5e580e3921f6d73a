"""The entry point `fsspec`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.plugin import ObjectBackend, Store

if TYPE_CHECKING:
    from cachexport_fsspec.attrs import Connection


class FsspecBackend(ObjectBackend):
    """Makes sources and targets of `type=fsspec`. A file system is imported with its first call."""

    kind = "fsspec"

    def attributes(self) -> tuple[type, type]:
        """See Described."""
        from cachexport_fsspec.attrs import FsspecExport, FsspecImport

        return FsspecImport, FsspecExport

    def open_store(self, attrs: Connection, /) -> Store:
        """See ObjectBackend."""
        from cachexport.plugin import Keys
        from cachexport_fsspec.client import FilesClient
        from cachexport_fsspec.kinds import kind_of
        from cachexport_fsspec.url import GCS, protocol

        keys = Keys(blobs="blobs/", names="manifests/")
        if protocol(attrs.url) in GCS:
            from cachexport_fsspec.gcs import GcsClient

            return Store(client=GcsClient(attrs), keys=keys)
        kind = kind_of(attrs.url)
        return Store(client=FilesClient(attrs, kind), keys=keys, sweeps=kind.sweeps)


backend = FsspecBackend()
