"""The workshop of a build: directories to make layers in, and the store for them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.copy import move_missing
from cachexport.content.progress import silent
from cachexport.images.builder import Policy, copy_into, copy_layer
from cachexport.images.parts import report_parts
from cachexport.images.store.leases import DAY
from cachexport.oci.compression import Compression

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterator

    from cachexport.content.progress import Progress
    from cachexport.images.build.image import Stack
    from cachexport.images.builder import Copying, Rights, Snapshots, Writable
    from cachexport.images.store import Store
    from cachexport.images.store.content import StoreContent
    from cachexport.images.store.leases import Lease
    from cachexport.oci.descriptor import Descriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Makes layers in a store with its snapshots.

    The lease `lease` holds them. No file in a layer is younger than `epoch`, seconds since 1970.
    """

    store: Store
    snapshots: Snapshots
    lease: Lease
    rights: Rights
    epoch: int = 0
    progress: Progress = silent
    compression: Compression = Compression.GZIP
    compression_level: int | None = None

    @property
    def content(self) -> StoreContent:
        """Where the layers go."""
        return self.store.content.under(self.lease)

    def make(self, below: Stack, work: Callable[[pathlib.Path], object]) -> Descriptor | None:
        """Call `work` with the root directory of layers, and give the layer of its changes.

        None when it changes nothing.
        """
        self._stay()
        with self._writable(below) as writable:
            work(writable.root)
            self._stay()
            return writable.commit(
                policy=Policy(latest=self.epoch, owner=None if self.rights.owners else (0, 0)),
                compression=self.compression,
                level=self.compression_level,
            )

    def copy(self, below: Stack, copying: Copying) -> Descriptor | None:
        """Give the layer of files that are copied onto the layers below."""

        def work(root: pathlib.Path) -> None:
            copy_into(copying, root, policy=self._as_copied, rights=self.rights)

        return self.make(below, work)

    def link(self, copying: Copying) -> Descriptor:
        """Give a layer that has only these files, for any layers below; nothing is unpacked."""
        self._stay()
        return copy_layer(
            self.content,
            copying,
            policy=self._as_copied,
            compression=self.compression,
            level=self.compression_level,
        )

    def _stay(self) -> None:
        """Renew the lease for another day."""
        self.store.leases.renew(self.lease.id, seconds=DAY)

    @property
    def _as_copied(self) -> Policy:
        return Policy(mtime=self.epoch, owner=(0, 0))

    @contextmanager
    def _writable(self, below: Stack) -> Iterator[Writable]:
        fetching = report_parts("fetching", self.progress)
        move_missing(below.provider, self.content, below.descriptors, fetching)
        with self.snapshots.writable(below.descriptors, self.lease.id) as writable:
            yield writable
