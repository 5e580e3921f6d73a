"""Directories of layers: unpacked once for all who build on them, and one to change for each.

With the kernel's overlay file system layers lie on each other without being copied. Where a
process may not mount one, what is below is copied. What comes out is the same.
"""

from __future__ import annotations

import enum
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from cachexport.builder.changes import Policy, changes
from cachexport.builder.clone import clone_tree, copy_attributes, trace
from cachexport.builder.layers import reading, store_blocks, unpack_layer
from cachexport.builder.overlay import FILES, MOST, Overlay, can_overlay, touched
from cachexport.builder.pack import pack
from cachexport.builder.unpack import Rights
from cachexport.files.errors import translated
from cachexport.files.mounts import sync_file_system
from cachexport.image.config import diff_id_of
from cachexport.oci.compression import Compression
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Iterator, Sequence

    from cachexport.builder.limits import Limits
    from cachexport.builder.names import Path
    from cachexport.builder.tree import Node
    from cachexport.oci.descriptor import Descriptor
    from cachexport.store import OwnDirectory, Store, Unpacked
    from cachexport.store.content import Contents

    Untouched = Callable[[Path, Node], bool]


class Way(enum.Enum):
    """How layers get on each other."""

    AUTO = "auto"
    """As an overlay where this process may mount one, else as copies."""
    OVERLAY = "overlay"
    COPY = "copy"


def chain_ids(diff_ids: Sequence[Digest]) -> list[Digest]:
    """Give for each layer, bottom first, what names it with all below it.

    See the OCI image specification, "Layer ChainID".
    """
    chain: list[Digest] = []
    for diff_id in diff_ids:
        text = f"{chain[-1]} {diff_id}" if chain else ""
        chain.append(Digest.of(text.encode()) if chain else diff_id)
    return chain


class Snapshots:
    """The unpacked layers of a store. Any number of threads and processes use them at once.

    What is unpacked stays while a lease holds it, and as long as its layers are in the store.
    `Store.collect_garbage` removes it then, and what killed processes left.
    """

    def __init__(self, store: Store, way: Way, rights: Rights, limits: Limits | None) -> None:
        self._store = store
        self._way = way
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
        """Give those of a store, which has to stay open.

        By default `rights` are what the process may do.
        """
        return cls(store, way, rights or Rights.of_process(), limits)

    def writable(self, layers: Sequence[Descriptor], lease: str) -> Writable:
        """Have a directory with these layers, bottom first, to change as one likes.

        They are in the store, and each tells its diff ID or is not compressed. The lease holds
        what is unpacked for it. The caller releases what is given.

        Raises InvalidInputError for a layer that does not tell its diff ID, what `unpack_layer`
        raises, FailedPrecondition for a lease that lives no more or where no overlay can be
        mounted and only that is wanted, and BackendError.
        """
        chain = chain_ids([diff_id_of(desc) for desc in layers])
        content = self._store.content.under(self._store.leases.get(lease))
        stacking = _Stacking(self._store, content, lease, self._rights, self._limits)
        if not layers:
            return stacking.empty()
        if self._overlays(lease) and len(layers) <= MOST:
            return stacking.overlaid(layers, chain)
        return stacking.copied(layers, chain)

    def _overlays(self, lease: str) -> bool:
        if self._way is Way.AUTO:
            works = can_overlay(self._store.directories, lease)
            self._way = Way.OVERLAY if works else Way.COPY
        return self._way is Way.OVERLAY


class Writable:
    """A directory to change, until `release` or the end of a block."""

    def __init__(
        self,
        own: OwnDirectory,
        content: Contents,
        *,
        root: pathlib.Path,
        lower: pathlib.Path | None = None,
        is_untouched: Callable[[], Untouched] | None = None,
    ) -> None:
        self.root = root
        self._own: OwnDirectory | None = own
        self._content = content
        self._lower = lower
        self._is_untouched = is_untouched

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
    ) -> Descriptor | None:
        """Put the layer that makes of those below what is in `root` now into the store.

        Gives its descriptor, with the diff ID; None when nothing changed. The lease holds it.
        Only what was written since is read. Raises as `diff_layer` does.
        """
        with translated("read", self.root):
            untouched = self._is_untouched() if self._is_untouched else None
            found = changes(self._lower, self.root, policy or Policy(), untouched)
        if not found:
            return None
        blocks = reading(pack(found, self.root), self.root)
        return store_blocks(blocks, self._content, compression, level)

    def release(self) -> None:
        """Remove the directory; twice is fine."""
        own, self._own = self._own, None
        if own is not None:
            own.remove()


@dataclass(frozen=True, slots=True)
class _Stacking:
    """Puts layers on each other."""

    store: Store
    content: Contents
    lease: str
    rights: Rights
    limits: Limits | None

    def empty(self) -> Writable:
        with self._making() as own:
            return Writable(own, self.content, root=self._files(own))

    def overlaid(self, layers: Sequence[Descriptor], chain: Sequence[Digest]) -> Writable:
        below: list[Unpacked] = []
        for desc, name in zip(layers, chain, strict=True):
            below.append(self._single(desc, name, below))
        with self._making(below[-1].number) as own:
            overlay, lower = self._overlay(own, below)
            return Writable(
                own,
                self.content,
                root=overlay.root,
                lower=lower,
                is_untouched=lambda: _not_in(touched(overlay.upper)),
            )

    def copied(self, layers: Sequence[Descriptor], chain: Sequence[Digest]) -> Writable:
        below = self._whole(layers, chain)
        with self._making(below.number) as own:
            files = self._files(own)
            lower = below.path / FILES
            with translated("read", lower):
                traces = clone_tree(lower, files, owners=self.rights.owners)

            def same(path: Path, node: Node) -> bool:
                return traces.get(path) == trace(os.lstat(files.joinpath(*path)))

            return Writable(own, self.content, root=files, lower=lower, is_untouched=lambda: same)

    def _single(self, desc: Descriptor, name: Digest, below: Sequence[Unpacked]) -> Unpacked:
        """Unpack one layer, and keep what it changed of those below."""
        found = self.store.directories.find(name, self.lease, whole=not below)
        if found is not None:
            return found
        parent = below[-1].number if below else None
        with self._making(parent) as own:
            if below:
                overlay, _ = self._overlay(own, below)
                self._unpack(desc, overlay.root)
                with translated("write", own.path):
                    overlay.unmount()
            else:
                self._unpack(desc, self._files(own))
            return self._published(own, name, [desc], parent)

    def _whole(self, layers: Sequence[Descriptor], chain: Sequence[Digest]) -> Unpacked:
        """Unpack all layers into one directory, beginning with as many as somebody has already."""
        below, count = None, len(layers)
        while count and below is None:
            below = self.store.directories.find(chain[count - 1], self.lease, whole=True)
            count -= below is None
        if below is not None and count == len(layers):
            return below
        with self._making() as own:
            files = self._files(own)
            if below is not None:
                with translated("read", below.path):
                    clone_tree(below.path / FILES, files, owners=self.rights.owners)
            for desc in layers[count:]:
                self._unpack(desc, files)
            return self._published(own, chain[-1], layers, None)

    def _published(
        self, own: OwnDirectory, name: Digest, origins: Sequence[Descriptor], parent: int | None
    ) -> Unpacked:
        with translated("write", own.path):
            sync_file_system(own.path)
        return own.publish(name, [desc.digest for desc in origins], self.lease, parent=parent)

    def _unpack(self, desc: Descriptor, root: pathlib.Path) -> None:
        unpack_layer(self.content, desc, root, limits=self.limits, rights=self.rights)

    def _overlay(
        self, own: OwnDirectory, below: Sequence[Unpacked]
    ) -> tuple[Overlay, pathlib.Path]:
        """Mount the layers below; give that, and where they are alone."""
        overlay = Overlay(own.path)
        with translated("write", own.path):
            overlay.upper.mkdir()
            root = below[-1].path / FILES
            copy_attributes(root, overlay.upper, os.lstat(root), owners=self.rights.owners)
            place = self.store.directories.place
            return overlay, overlay.mount(place, [one.number for one in below])

    def _files(self, own: OwnDirectory) -> pathlib.Path:
        files = own.path / FILES
        with translated("write", files):
            files.mkdir()
            files.chmod(0o755)
            os.utime(files, (0, 0))
        return files

    @contextmanager
    def _making(self, parent: int | None = None) -> Iterator[OwnDirectory]:
        """Have a directory that is removed when the block fails."""
        own = self.store.directories.make(self.lease, parent=parent)
        try:
            yield own
        except BaseException:
            own.remove()
            raise


def _not_in(paths: set[Path]) -> Untouched:
    return lambda path, node: paths.isdisjoint((path, *node.links))
