"""Layers as blobs: unpacked into a directory, and made of one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cachexport.content.files.errors import translated
from cachexport.content.layers.blocks import BlockReader
from cachexport.content.layers.convert import open_layer, store_layer
from cachexport.content.verify import BLOCK
from cachexport.errors import Integrity
from cachexport.images.builder.changes import Policy, changes
from cachexport.images.builder.limits import Limits, Meter
from cachexport.images.builder.pack import pack
from cachexport.images.builder.unpack import Rights, unpack
from cachexport.oci.compression import Compression
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable, Iterator

    from cachexport.content.protocols import Ingester, Provider, Reader
    from cachexport.images.builder.changes import Change
    from cachexport.oci.descriptor import Descriptor


def unpack_layer(
    source: Provider,
    desc: Descriptor,
    directory: pathlib.Path,
    *,
    limits: Limits | None = None,
    rights: Rights | None = None,
) -> Digest:
    """Apply the layer `desc` to a directory that is there, and give its diff ID.

    Nothing outside of the directory is touched, whatever the layer and the links in the directory
    are. Directories that the layer does not name keep their times.

    Raises as `open_layer` does; Integrity for content that is not what `desc` says, its diff ID
    included; WireFormat for an entry that cannot be, as one that leads out of the directory;
    FailedPrecondition for one that `limits` or `rights` do not allow; BackendError where the file
    system fails. A part of the layer is in the directory then, which is to be thrown away.
    """
    name = f"layer {desc.digest}"
    meter = Meter(limits or Limits(), name)
    with open_layer(source, desc, meter.packed) as layer:
        plain = _Measured(layer, meter)
        unpack(plain, directory, rights or Rights(), meter, name)
        # What follows the archive's end belongs to the digests too.
        while plain.read(BLOCK):
            pass
    if plain.diff_id != (desc.diff_id or plain.diff_id):
        raise Integrity(f"{name} is corrupt: its diff ID is {plain.diff_id}, wanted {desc.diff_id}")
    return plain.diff_id


def diff_layer(
    target: Ingester,
    lower: pathlib.Path | None,
    upper: pathlib.Path,
    *,
    policy: Policy | None = None,
    compression: Compression = Compression.GZIP,
    level: int | None = None,
) -> Descriptor:
    """Put the layer that makes `upper` of `lower` into `target`, and give its descriptor.

    Without `lower` it makes `upper` of an empty directory. Equal directories give the same bytes;
    the diff ID is in the annotations. Sockets are left out, as everywhere.

    Raises InvalidAttr for a bad level; InvalidInputError for a name that no layer can have;
    Conflict for a file that changes meanwhile; BackendError, NotFound where the directories
    cannot be read; TransferError where the layer cannot be kept.
    """
    with translated("read", upper):
        found = changes(lower, upper, policy or Policy())
    return store_changes(target, found, upper, compression, level)


def store_changes(
    target: Ingester,
    found: Iterable[Change],
    upper: pathlib.Path,
    compression: Compression,
    level: int | None = None,
) -> Descriptor:
    """Put the layer of these changes, whose content is in `upper`, into `target`.

    Raises as `diff_layer` does.
    """
    return store_blocks(_reading(pack(found, upper), upper), target, compression, level)


def store_blocks(
    blocks: Iterator[bytes], target: Ingester, compression: Compression, level: int | None
) -> Descriptor:
    """Put the layer of which these are the archive's blocks into `target`."""
    return store_layer(read_blocks(blocks), target, compression, level)


def read_blocks(blocks: Iterator[bytes]) -> Reader:
    """Give the stream of blocks that are made while it is read."""
    return BlockReader(blocks, _Nothing())


def _reading(blocks: Iterator[bytes], upper: pathlib.Path) -> Iterator[bytes]:
    with translated("read", upper):
        yield from blocks


class _Measured:
    """A stream that a meter and a hash see."""

    def __init__(self, layer: Reader, meter: Meter) -> None:
        self._layer = layer
        self._meter = meter
        self._hasher = hashlib.sha256()

    @property
    def diff_id(self) -> Digest:
        return Digest.from_hasher(self._hasher)

    def read(self, size: int, /) -> bytes:
        block = self._layer.read(size)
        self._meter.plain(len(block))
        self._hasher.update(block)
        return block

    def close(self) -> None:
        self._layer.close()


class _Nothing:
    """What is below a stream that is made of nothing."""

    def read(self, size: int, /) -> bytes:
        return b""

    def close(self) -> None:
        return None
