"""Layers unpacked once, and writable directories on them.

They are overlays where this process may mount them, otherwise copies; both make the same layers.
"""

from __future__ import annotations

import enum
import hashlib
import itertools
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from cachexport.content.files.errors import translated
from cachexport.content.files.mounts import sync_file_system
from cachexport.errors import CachexportError, FailedPrecondition, NotFound
from cachexport.images.builder.changes import copy_links_up
from cachexport.images.builder.layers import unpack_layer
from cachexport.images.builder.overlay import Overlay, fits, may_mount
from cachexport.images.builder.tree import copy_attributes, copy_tree, record_tree
from cachexport.images.builder.unpack import Rights
from cachexport.images.builder.writable import (
    CopyWritable,
    OverlayWritable,
    ScratchWritable,
    Writable,
)
from cachexport.images.config.config import diff_id_of
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable, Iterator, Sequence

    from cachexport.images.builder.unpack import Limits
    from cachexport.images.store import OwnDirectory, Store, Unpacked
    from cachexport.oci.descriptor import Descriptor

_PROBE_SECONDS = 600.0


class Way(enum.Enum):
    """How a writable directory gets the files of its layers."""

    AUTO = "auto"
    """Overlays where they can be mounted, otherwise copies."""
    OVERLAY = "overlay"
    COPY = "copy"


class Snapshots:
    """The unpacked layers of a store, and writable directories on them.

    Processes and threads may share the store. `open` makes one; there is nothing to close.
    """

    def __init__(
        self, store: Store, *, has_overlays: bool | None, rights: Rights, limits: Limits | None
    ) -> None:
        self.store = store
        self._has_overlays = has_overlays
        self._rights = rights
        self._limits = limits

    @classmethod
    def open(
        cls,
        store: Store,
        *,
        way: Way = Way.AUTO,
        rights: Rights | None = None,
        limits: Limits | None = None,
    ) -> Self:
        """Use the snapshots of a store; `limits` are for each layer.

        Without `rights` root may do everything; for other users all files belong to the process,
        and devices are an error. Raises FailedPrecondition for `Way.OVERLAY` where this process
        cannot mount overlays.
        """
        # Tried on first use, since many builds need no directory at all.
        has_overlays = None if way is Way.AUTO else way is Way.OVERLAY
        if has_overlays and not _try_overlay(store):
            raise FailedPrecondition(
                f"no overlay can be mounted in {store.directories.place}; "
                "run as root on a file system such as ext4, or make copies"
            )
        allowed = rights or Rights.of_process()
        return cls(store, has_overlays=has_overlays, rights=allowed, limits=limits)

    def unpack(self, layers: Sequence[Descriptor], lease: str) -> None:
        """Unpack layers, bottom first, unless they are already; the lease holds them from now on.

        Raises as `writable` does.
        """
        if layers:
            self._unpacked(layers, lease)

    def writable(self, layers: Sequence[Descriptor], lease: str) -> Writable:
        """Give a writable directory that has what the layers, bottom first, make.

        The layers are in the store and have diff IDs. Those that are not unpacked yet are unpacked;
        several processes may do so at once. The lease holds all that is used; the caller releases.

        Raises NotFound for a layer that is not in the store; FailedPrecondition for a lease that is
        gone or has expired; InvalidInputError for a layer without a diff ID; what `unpack_layer`
        does.
        """
        if not layers:
            own = self.store.directories.make(lease)
            with _removed_on_failure(own):
                _new_root(own.path / "d")
                return ScratchWritable(self.store, own, lease)
        found = self._unpacked(layers, lease)
        own = self.store.directories.make(lease, parent=found.number)
        with _removed_on_failure(own), translated("write", own.path):
            make = self._overlay_over if self._overlays(len(layers)) else self._copy_of
            return make(found, own, lease)

    def _unpacked(self, layers: Sequence[Descriptor], lease: str) -> Unpacked:
        """Unpack what is not yet, and give the directory of the top layer."""
        chains = self._names(chain_ids(layers))
        self._hold(layers, lease)
        if not self._overlays(len(layers)):
            return self._unpacked_whole(layers, chains, lease)
        below, count = self._deepest(chains, lease, whole=False)
        for layer, chain in zip(layers[count:], chains[count:], strict=True):
            count += 1
            if below is None:
                below = self._unpacked_whole(layers[:count], chains[:count], lease)
            else:
                below = self._unpack_over(below, layers[:count], layer, chain, lease)
        assert below is not None
        return below

    def _names(self, chains: list[Digest]) -> list[Digest]:
        """Name chains without owners differently: their directories are others."""
        if self._rights.owners:
            return chains
        return [Digest.of(f"{chain} without owners".encode()) for chain in chains]

    def _overlays(self, count: int) -> bool:
        if self._has_overlays is None:
            self._has_overlays = _try_overlay(self.store)
        return self._has_overlays and fits(count)

    def _hold(self, layers: Sequence[Descriptor], lease: str) -> None:
        content = self.store.content.under(lease)
        missing = content.missing(layers)
        if missing:
            raise NotFound(f"layer {min(missing)} is not in {content.place}; put it in first")

    def _deepest(
        self, chains: Sequence[Digest], lease: str, *, whole: bool
    ) -> tuple[Unpacked | None, int]:
        """Give the longest chain that is unpacked, and how many layers it has."""
        find = self.store.directories.find
        for count in range(len(chains), 0, -1):
            chain = chains[count - 1]
            found = None if whole else find(chain, lease, whole=False)
            found = found or find(chain, lease, whole=True)
            if found is not None:
                return found, count
        return None, 0

    def _unpacked_whole(
        self, layers: Sequence[Descriptor], chains: Sequence[Digest], lease: str
    ) -> Unpacked:
        """Unpack a chain into one directory, on a copy of what is unpacked of it."""
        below, count = self._deepest(chains, lease, whole=True)
        if below is not None and count == len(layers):
            return below
        own = self.store.directories.make(lease)
        with _removed_on_failure(own):
            root = own.path / "d"
            _new_root(root)
            if below is not None:
                with translated("write", root):
                    copy_tree(below.path / "d", root)
            for layer in layers[count:]:
                self._apply(layer, root)
            return _published(own, chains[-1], layers, lease)

    def _unpack_over(
        self,
        below: Unpacked,
        layers: Sequence[Descriptor],
        layer: Descriptor,
        chain: Digest,
        lease: str,
    ) -> Unpacked:
        """Unpack a layer into an overlay, so that its whiteouts become the kernel's own."""
        own = self.store.directories.make(lease, parent=below.number)
        with _removed_on_failure(own), translated("write", own.path):
            overlay = self._mounted(below, own)
            self._apply(layer, overlay.root)
            copy_links_up(overlay)
            overlay.unmount()
            return _published(own, chain, layers, lease)

    def _apply(self, layer: Descriptor, root: pathlib.Path) -> None:
        unpack_layer(self.store.content, layer, root, limits=self._limits, rights=self._rights)

    def _copy_of(self, found: Unpacked, own: OwnDirectory, lease: str) -> Writable:
        root, source = own.path / "d", found.path / "d"
        root.mkdir()
        copy_tree(source, root)
        return CopyWritable(self.store, own, lease, lower=source, record=record_tree(root))

    def _overlay_over(self, found: Unpacked, own: OwnDirectory, lease: str) -> Writable:
        overlay = self._mounted(found, own)
        return OverlayWritable(self.store, own, lease, overlay, self._below(found))

    def _mounted(self, below: Unpacked, own: OwnDirectory) -> Overlay:
        overlay, stack = Overlay(own.path), self._below(below)
        overlay.own.mkdir()
        copy_attributes(stack[0], overlay.own)
        overlay.mount(stack)
        return overlay

    def _below(self, top: Unpacked) -> list[pathlib.Path]:
        return [each.path / "d" for each in self.store.directories.stack(top)]


def chain_ids(layers: Iterable[Descriptor]) -> list[Digest]:
    """Give the chain ID of each layer, bottom first, as the OCI image specification defines it.

    Raises InvalidInputError for one without a diff ID.
    """
    return list(itertools.accumulate(map(diff_id_of, layers), _chain_id))


def _chain_id(below: Digest, diff_id: Digest) -> Digest:
    return Digest.from_hasher(hashlib.sha256(f"{below} {diff_id}".encode()))


def _published(
    own: OwnDirectory, chain: Digest, layers: Iterable[Descriptor], lease: str
) -> Unpacked:
    # The index survives a power failure, so the files of its rows have to.
    with translated("write", own.path):
        sync_file_system(own.path)
    return own.publish(chain, [layer.digest for layer in layers], lease)


def _new_root(root: pathlib.Path) -> None:
    """Make a directory with a fixed mode and time, to be the same everywhere."""
    with translated("write", root):
        root.mkdir()
        root.chmod(0o755)
        os.utime(root, ns=(0, 0))


@contextmanager
def _removed_on_failure(own: OwnDirectory) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # If this fails too, a collection removes it.
        with suppress(CachexportError):
            own.remove()
        raise


def _try_overlay(store: Store) -> bool:
    with store.leases.held(seconds=_PROBE_SECONDS) as lease:
        own = store.directories.make(lease.id)
        try:
            return may_mount(own.path)
        finally:
            own.remove()
