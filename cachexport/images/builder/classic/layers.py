"""Layers that a classic build holds, and its writable directories."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from cachexport.errors import NotFound
from cachexport.images.config.config import diff_id_of
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    import pathlib

    from cachexport.images.builder.changes import Policy
    from cachexport.images.builder.snapshots import Snapshots
    from cachexport.images.builder.writable import Writable
    from cachexport.images.store import Lease, Store
    from cachexport.oci.compression import Compression
    from cachexport.oci.descriptor import Descriptor

LABEL = "org.mobyproject.lease.classicbuilder"
"""Label of the leases of such builds, with the value `true`."""
SECONDS = 24 * 3600.0
"""Seconds that a layer is held which nobody releases."""
EMPTY = Digest.of(bytes(1024))
"""The diff ID of an empty layer: the digest of a tar archive without entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerKeeper:
    """Stores layers, and holds them with leases."""

    store: Store
    snapshots: Snapshots
    compression: Compression
    policy: Policy

    def hold(self) -> Lease:
        """Take the lease of a layer."""
        return self.store.leases.create(labels={LABEL: "true"}, seconds=SECONDS)

    def let_go(self, lease: Lease) -> None:
        """Give a lease up; one that has expired and was collected is no error."""
        with suppress(NotFound):
            self.store.leases.delete(lease.id)

    def releasable(
        self, below: tuple[Descriptor, ...], descriptor: Descriptor | None, lease: Lease
    ) -> ReleasableLayer:
        """Give a layer, held by `lease` with all below it. Raises NotFound when one is gone."""
        layers = below if descriptor is None else (*below, descriptor)
        missing = self.store.content.under(lease).missing(layers)
        if missing:
            raise NotFound(f"layer {min(missing)} is not in the store any more; pull it again")
        return ReleasableLayer(self, lease, below, descriptor)


class ReleasableLayer:
    """A layer with all below it, held until `release`, or for a day."""

    def __init__(
        self,
        keeper: LayerKeeper,
        lease: Lease,
        below: tuple[Descriptor, ...],
        descriptor: Descriptor | None,
    ) -> None:
        self.descriptor = descriptor
        """The layer itself; None for an empty one."""
        self.below = below
        self.lease = lease
        self._keeper = keeper

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @property
    def diff_id(self) -> Digest:
        """The digest of its archive, uncompressed."""
        return EMPTY if self.descriptor is None else diff_id_of(self.descriptor)

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """All layers, bottom first."""
        return self.below if self.descriptor is None else (*self.below, self.descriptor)

    def new_rw_layer(self) -> WritableLayer:
        """Make a writable directory with all layers; the caller releases it.

        It has a lease of its own, and stays when this layer is released. Raises as
        `Snapshots.writable` does; nothing is left then.
        """
        lease = self._keeper.hold()
        try:
            writable = self._keeper.snapshots.writable(self.layers, lease.id)
        except BaseException:
            self._keeper.let_go(lease)
            raise
        return WritableLayer(self._keeper, lease, self.layers, writable)

    def release(self) -> None:
        """Give its lease up; twice is fine."""
        self._keeper.let_go(self.lease)


class WritableLayer:
    """A writable directory on layers."""

    def __init__(
        self, keeper: LayerKeeper, lease: Lease, below: tuple[Descriptor, ...], writable: Writable
    ) -> None:
        self.lease = lease
        self._keeper = keeper
        self._below = below
        self._writable = writable

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @property
    def root(self) -> pathlib.Path:
        """Its path."""
        return self._writable.root

    def commit(self) -> ReleasableLayer:
        """Make a layer of the changes; the caller releases it, too.

        Its `descriptor` is None when nothing changed. Raises as `Writable.commit` does; nothing is
        left then.
        """
        keeper, lease = self._keeper, self._keeper.hold()
        try:
            found = self._writable.commit(
                policy=keeper.policy, compression=keeper.compression, lease=lease.id
            )
            return keeper.releasable(self._below, found, lease)
        except BaseException:
            keeper.let_go(lease)
            raise

    def release(self) -> None:
        """Unmount and remove the directory; twice is fine."""
        try:
            self._writable.release()
        finally:
            self._keeper.let_go(self.lease)
