"""Where a build makes its layers: directories to work in, and the store that the layers go to."""

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
    """A store and its snapshots, and how layers are made there.

    All that is made is held by the lease `lease`. Nothing in a layer is younger than `epoch`,
    seconds since 1970.
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
        """Give the layer that `work` makes of the layers below; None when it changes nothing.

        It is called with the root directory.
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
        """Give the layer of files alone, for whatever is below: nothing is unpacked for it."""
        self._stay()
        return copy_layer(
            self.content,
            copying,
            policy=self._as_copied,
            compression=self.compression,
            level=self.compression_level,
        )

    def _stay(self) -> None:
        """Hold what was made for another day."""
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
