"""Layers as blobs: unpacked into a directory, made from one, or from files as COPY does."""

from __future__ import annotations

import hashlib
import os
import pathlib
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cachexport.content.files.errors import translated
from cachexport.content.layers.blocks import BlockReader
from cachexport.content.layers.convert import open_layer, store_layer
from cachexport.content.verify import BLOCK
from cachexport.errors import Integrity
from cachexport.images.builder.archive import pack
from cachexport.images.builder.changes import Change, Policy, changes, check_names
from cachexport.images.builder.names import parse_destination
from cachexport.images.builder.root import Root
from cachexport.images.builder.tree import scan
from cachexport.images.builder.unpack import Limits, Meter, Rights, unpack
from cachexport.oci.compression import Compression
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cachexport.content.protocols import Ingester, Provider, Reader
    from cachexport.images.builder.names import Path
    from cachexport.images.builder.tree import Tree
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

    Nothing outside of the directory is touched, whatever the layer contains and wherever links in
    the directory lead. Directories that the layer does not name keep their times.

    Raises as `open_layer` does; Integrity for content that does not match `desc` or its diff ID;
    WireFormat for an impossible entry, such as one that leads out of the directory;
    FailedPrecondition for one that `limits` or `rights` do not allow; BackendError where the file
    system fails. After an error a part of the layer is in the directory, which has to be thrown
    away.
    """
    name = f"layer {desc.digest}"
    meter = Meter(limits or Limits(), name)
    with open_layer(source, desc, meter.packed) as layer:
        plain = _Measured(layer, meter)
        unpack(plain, directory, rights or Rights(), meter, name)
        # The bytes after the archive's end count for the digests too.
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
    """Put the layer of the changes from `lower` to `upper` into `target`, and give its descriptor.

    Without `lower` it has all of `upper`. Equal directories give the same bytes; the diff ID is in
    the annotations. Sockets are left out, as everywhere.

    Raises InvalidAttr for a bad level; InvalidInputError for a name that no layer can have;
    Conflict for a file that changes meanwhile; BackendError, NotFound where the directories cannot
    be read; TransferError where the layer cannot be written.
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
    """Put the layer whose archive has these blocks into `target`."""
    return store_layer(read_blocks(blocks), target, compression, level)


def read_blocks(blocks: Iterator[bytes]) -> Reader:
    """Give a stream of blocks that are made while it is read."""
    return BlockReader(blocks, _Nothing())


def _reading(blocks: Iterator[bytes], upper: pathlib.Path) -> Iterator[bytes]:
    with translated("read", upper):
        yield from blocks


class _Measured:
    """A stream that is metered and hashed while it is read."""

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
    """An empty stream, below blocks that are made on the fly."""

    def read(self, size: int, /) -> bytes:
        return b""

    def close(self) -> None:
        return None


AS_COPIED = Policy(mtime=0, owner=(0, 0))
"""Files belong to root and have the time 0: the same files make the same layer."""
_UNLIMITED = Limits(entries=None, bytes=None, ratio=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copying:
    """Files to copy into an image.

    The content of a directory `source` goes into `destination`. A file gets that name, or keeps its
    own in there when `destination` is spelled as a directory: `/`, `app/`. `exclude` has patterns
    as in `.dockerignore`, for paths in a directory. If `source` is a link it is followed; links
    below it stay links.
    """

    source: pathlib.Path
    destination: str
    exclude: tuple[str, ...] = ()

    def digest(self) -> Digest:
        """Read the files, and give the digest of everything but their times and owners.

        Raises as `copy_layer` does.
        """
        hasher = hashlib.sha256()
        for block in self.blocks(AS_COPIED):
            hasher.update(block)
        return Digest.from_hasher(hasher)

    def blocks(self, policy: Policy) -> Iterator[bytes]:
        """Give the blocks of the layer's archive. Directories above have no entries in it."""
        with translated("read", self.source):
            place = pathlib.Path(os.path.realpath(self.source, strict=True))
            found = _without(scan(place), self.exclude)
            check_names(found)
            is_directory = found[()].is_directory
            # The image's own directory at the destination keeps its mode, without an entry here.
            if is_directory and len(found) > 1:
                del found[()]
            changes = [Change(path, policy.applied(node)) for path, node in found.items()]
            yield from pack(changes, place, self._below(is_directory=is_directory))

    def _below(self, *, is_directory: bool) -> Path:
        below = parse_destination(self.destination)
        into = not below or self.destination.endswith(("/", "/."))
        return below if is_directory or not into else (*below, self.source.name)


def copy_layer(
    target: Ingester,
    copying: Copying,
    *,
    policy: Policy = AS_COPIED,
    compression: Compression = Compression.GZIP,
    level: int | None = None,
) -> Descriptor:
    """Put the layer that has these files into `target`, and give its descriptor.

    Equal files give the same bytes. Raises as `diff_layer` does.
    """
    return store_blocks(copying.blocks(policy), target, compression, level)


def copy_into(
    copying: Copying,
    root: pathlib.Path,
    *,
    policy: Policy = AS_COPIED,
    rights: Rights | None = None,
) -> None:
    """Put the files into the directory `root`, as unpacking the layer there would.

    Links in `root` are followed as if it were `/`. If a directory has the destination of a file,
    the file goes into it. Raises as `unpack_layer` does.
    """
    if copying.source.is_file() and _is_directory(root, copying.destination):
        copying = replace(copying, destination=f"{copying.destination}/")
    meter = Meter(_UNLIMITED, f"the copy of {copying.source}")
    unpack(
        read_blocks(copying.blocks(policy)), root, rights or Rights(), meter, str(copying.source)
    )


def _is_directory(root: pathlib.Path, destination: str) -> bool:
    """Say whether there is a directory where a path leads in the root."""
    path = parse_destination(destination)
    if not path:
        return False
    with Root(root) as opened, opened.at(path) as spot:
        status = spot.status
    return status is not None and stat.S_ISDIR(status.st_mode)


def _without(found: Tree, exclude: Sequence[str]) -> Tree:
    """Leave out what matches, but keep directories of entries that stay."""
    if not exclude:
        return found
    from docker.utils.build import PatternMatcher

    matcher = PatternMatcher(exclude)
    matcher.patterns.pop()  # an exception that it adds for the daemon's own file
    stay: set[Path] = {()}
    for path in found:
        if path and not matcher.matches(os.sep.join(path)):
            stay.update(path[:length] for length in range(1, len(path) + 1))
    return {path: node for path, node in found.items() if path in stay}
