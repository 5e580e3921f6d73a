"""Writable directories on unpacked layers, and the layers that they become."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, ClassVar, Self

from cachexport.content.files.errors import translated
from cachexport.content.files.mounts import mounts_at
from cachexport.errors import FailedPrecondition
from cachexport.images.builder.changes import Policy, changes, copy_changes, overlay_changes
from cachexport.images.builder.layers import store_changes
from cachexport.oci.compression import Compression

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Sequence

    from cachexport.images.builder.changes import Change
    from cachexport.images.builder.overlay import Overlay
    from cachexport.images.builder.tree import Record
    from cachexport.images.store import OwnDirectory, Store
    from cachexport.oci.descriptor import Descriptor


class Writable(abc.ABC):
    """A directory to change; the caller releases it, or uses it in a `with` block.

    After a kill it is garbage, with all that is mounted in it.
    """

    own_mounts: ClassVar[int] = 0
    """How many mounts are at the root itself."""

    def __init__(self, store: Store, own: OwnDirectory, lease: str, root: pathlib.Path) -> None:
        self.root = root
        """Its path. On an overlay an open file does not see later changes of the file at its
        path."""
        self._store = store
        self._own = own
        self._lease = lease
        self._is_released = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def commit(
        self,
        *,
        policy: Policy | None = None,
        compression: Compression = Compression.GZIP,
        level: int | None = None,
        lease: str = "",
    ) -> Descriptor | None:
        """Put the layer of the changes into the store; None when nothing changed.

        The directory's lease holds it, or another `lease` that is given. Its diff ID is in the
        annotations. Nothing may be mounted in the directory, nor write to it meanwhile. It can be
        changed and committed again, which makes a layer of all changes. Raises as `diff_layer`
        does, FailedPrecondition after `release` and for a lease that is gone or has expired.
        """
        if self._is_released:
            raise FailedPrecondition(f"{self.root} is released; commit it before")
        self._check()
        content = self._store.content.under(lease or self._lease)
        with translated("read", self.root):
            found = self._changes(policy or Policy())
        return store_changes(content, found, self.root, compression, level) if found else None

    def _check(self) -> None:
        """Raise FailedPrecondition if a mount would be in the layer, or hide files of it."""
        if not self.root.is_dir() or self.root.is_symlink():
            raise FailedPrecondition(f"{self.root} is no directory any more; it has to stay one")
        strangers = mounts_at(self.root)[self.own_mounts :]
        if strangers:
            raise FailedPrecondition(
                f"something is mounted at {strangers[-1]}; unmount it before the layer is made"
            )

    def release(self) -> None:
        """Unmount what is mounted in it, and remove it; twice is fine. Raises BackendError."""
        if not self._is_released:
            self._is_released = True
            self._own.remove()

    @abc.abstractmethod
    def _changes(self, policy: Policy) -> list[Change]:
        """Give what changed. Raises OSError, InvalidInputError."""


class ScratchWritable(Writable):
    """A directory without layers below."""

    def __init__(self, store: Store, own: OwnDirectory, lease: str) -> None:
        super().__init__(store, own, lease, own.path / "d")

    def _changes(self, policy: Policy) -> list[Change]:
        return changes(None, self.root, policy)


class CopyWritable(Writable):
    """A copy of the layers, with a record of its state at the start."""

    def __init__(
        self,
        store: Store,
        own: OwnDirectory,
        lease: str,
        *,
        lower: pathlib.Path,
        record: Record,
    ) -> None:
        super().__init__(store, own, lease, own.path / "d")
        self._lower = lower
        self._record = record

    def _changes(self, policy: Policy) -> list[Change]:
        return copy_changes(self._lower, self.root, self._record, policy)


class OverlayWritable(Writable):
    """An overlay that is mounted."""

    own_mounts = 1

    def __init__(
        self,
        store: Store,
        own: OwnDirectory,
        lease: str,
        overlay: Overlay,
        below: Sequence[pathlib.Path],
    ) -> None:
        super().__init__(store, own, lease, overlay.root)
        self._overlay = overlay
        self._below = below

    def _changes(self, policy: Policy) -> list[Change]:
        try:
            lower = self._overlay.mount_view(self._below)
            return overlay_changes(lower, self._overlay, policy)
        finally:
            self._overlay.unmount_view()
