"""Diff IDs of layers, and copying a layer while changing its compression."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import tempfile
from contextlib import closing, contextmanager
from typing import IO, TYPE_CHECKING

from cachexport.content.copy import copy_blob
from cachexport.content.layers.blocks import BlockReader, full_blocks, read_full
from cachexport.content.layers.codecs import MAGIC_SIZE, check_level, compress, decompress, detect
from cachexport.content.verify import BLOCK, VerifyingReader, from_source, open_verified
from cachexport.errors import CachexportError, Integrity, NotFound, TransferError
from cachexport.oci import mediatype
from cachexport.oci.compression import Compression
from cachexport.oci.descriptor import UNCOMPRESSED, Descriptor
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from hashlib import _Hash

    from cachexport.content.protocols import Ingester, Provider, Reader

# Annotations about the compressed bytes, not about the layer: where they can be fetched, and where
# in them an index of the files is. Of other bytes they would be untrue.
_OF_THE_BYTES = (
    "containerd.io/distribution.source.",
    "containerd.io/snapshot/stargz/",
    "io.containers.estargz.",
    "io.github.containers.zstd-chunked.",
)


def convert_layer(
    source: Provider,
    desc: Descriptor,
    target: Ingester,
    compression: Compression,
    level: int | None = None,
    moved: Callable[[int], None] | None = None,
) -> Descriptor:
    """Put the layer `desc` into `target`, compressed like this, and give its new descriptor.

    That has the OCI media type, and all annotations but those about the old bytes; its diff ID is
    checked where `desc` tells it and added where it does not. A layer whose media type says that
    it is compressed like this already is copied as it is, whatever its level; so is a
    nondistributable one, whose licence allows nothing else. What `target` has is not written
    again. The new bytes wait in an unnamed temporary file, as large as they are.

    Raises InvalidAttr for a bad level and InvalidDigest for a diff ID that is none, before
    anything is read; NotFound or Integrity when the source lacks the layer or has something else,
    the diff ID included; else TransferError, whose `origin` says which side failed: a full disk
    for temporary files counts as the destination's. The target then has nothing of the layer.
    """
    check_level(compression, level)
    if _stays(desc, compression):
        _copy(source, target, desc)
        return desc
    hasher = _hasher(desc.diff_id)
    with _spool(f"the converted blob {desc.digest}") as spool:
        with open_layer(source, desc, moved) as layer:
            plain = BlockReader(_hashed(full_blocks(layer), hasher), layer)
            digest, size = _write(compress(plain, compression, level), spool)
        new = _describe(desc, compression, digest, size, _checked_diff_id(desc, hasher))
        _copy(_Spooled(spool), target, new)
    return new


def store_layer(
    layer: Reader, target: Ingester, compression: Compression, level: int | None = None
) -> Descriptor:
    """Put an uncompressed layer into `target`, compressed like this, and give its descriptor.

    That has the diff ID in its annotations. What `target` has is not written again. The caller
    closes `layer`. Raises InvalidAttr for a bad level, what reading `layer` raises, and else
    TransferError as `convert_layer` does.
    """
    check_level(compression, level)
    hasher = _hasher(None)
    with _spool("the new layer") as spool:
        plain = BlockReader(_hashed(full_blocks(layer), hasher), layer)
        digest, size = _write(compress(plain, compression, level), spool)
        new = Descriptor(
            media_type=compression.media_type,
            digest=digest,
            size=size,
            annotations={UNCOMPRESSED: Digest.from_hasher(hasher)},
        )
        _copy(_Spooled(spool), target, new)
    return new


def diff_id(
    source: Provider, desc: Descriptor, moved: Callable[[int], None] | None = None
) -> Digest:
    """Read the layer `desc` and give the SHA-256 digest of its uncompressed content.

    A diff ID in the annotations is not looked at. Raises as `open_layer` does.
    """
    hasher = _hasher(None)
    with open_layer(source, desc, moved) as layer:
        for block in full_blocks(layer):
            hasher.update(block)
    return Digest.from_hasher(hasher)


@contextmanager
def open_layer(
    source: Provider, desc: Descriptor, moved: Callable[[int], None] | None = None
) -> Iterator[Reader]:
    """Read the layer `desc`, verified and uncompressed; closes what it opened.

    `moved` hears of every block of the blob how many bytes it had.

    An OCI media type is believed about the compression. Of any other, Docker's above all, which
    is not always true, only the first bytes count.

    Raises NotFound when the source lacks it and TransferError with the origin `source` when it
    fails; reading raises Integrity when the blob is not what `desc` names or does not decompress.
    """
    with closing(_open(source, desc, moved)) as blob:
        head = read_full(blob, MAGIC_SIZE)
        blocks = itertools.chain([head], iter(lambda: blob.read(BLOCK), b""))
        whole = BlockReader(blocks, blob)
        yield decompress(whole, _compression(desc, head), f"layer {desc.digest}")


def _open(
    source: Provider, desc: Descriptor, moved: Callable[[int], None] | None
) -> VerifyingReader:
    try:
        return open_verified(source, desc, moved)
    except NotFound:
        raise
    except (OSError, CachexportError) as error:
        raise from_source(error, desc, "open") from error


def _compression(desc: Descriptor, head: bytes) -> Compression:
    is_oci = mediatype.to_oci(desc.media_type) == desc.media_type
    said = Compression.of(desc.media_type) if is_oci else None
    return detect(head) if said is None else said


def _stays(desc: Descriptor, compression: Compression) -> bool:
    is_foreign = mediatype.is_foreign(desc.media_type)
    return is_foreign or Compression.of(desc.media_type) is compression


@contextmanager
def _spool(what: str) -> Iterator[IO[bytes]]:
    # Errors are caught outside the file's own block: closing it writes once more what a full disk
    # did not take, and would hide the first error behind a second one.
    try:
        with tempfile.TemporaryFile() as file:
            yield file
    except OSError as error:
        message = f"cannot keep {what} in a temporary file: {error}"
        raise TransferError(message, op="convert", origin="destination") from error


def _write(blocks: Iterable[bytes], file: IO[bytes]) -> tuple[Digest, int]:
    """Write all blocks; give their digest and size."""
    hasher = _hasher(None)
    for block in _hashed(blocks, hasher):
        file.write(block)
    file.flush()  # so that a full disk shows here, and not as a fault of reading the file
    return Digest.from_hasher(hasher), file.tell()


def _copy(source: Provider, target: Ingester, desc: Descriptor) -> None:
    if _is_missing(target, desc):
        copy_blob(source, target, desc)


def _is_missing(target: Ingester, desc: Descriptor) -> bool:
    try:
        return desc.digest in target.missing([desc])
    except TransferError:
        raise
    except (OSError, CachexportError) as error:
        message = f"cannot look for blob {desc.digest} in the target: {error}"
        raise TransferError(message, op="missing", origin="destination") from error


def _describe(
    desc: Descriptor, compression: Compression, digest: Digest, size: int, diff: Digest
) -> Descriptor:
    kept = {
        key: text for key, text in desc.annotations.items() if not key.startswith(_OF_THE_BYTES)
    }
    return dataclasses.replace(
        desc,
        media_type=compression.media_type,
        digest=digest,
        size=size,
        annotations=kept | {UNCOMPRESSED: diff},
        # Both give the old bytes.
        urls=(),
        data=b"",
    )


def _checked_diff_id(desc: Descriptor, hasher: _Hash) -> Digest:
    found = Digest.from_hasher(hasher)
    if found != (desc.diff_id or found):
        raise Integrity(
            f"layer {desc.digest} is corrupt: it has the diff ID {found}, wanted {desc.diff_id}"
        )
    return found


def _hashed(blocks: Iterable[bytes], hasher: _Hash) -> Iterator[bytes]:
    for block in blocks:
        hasher.update(block)
        yield block


def _hasher(digest: Digest | None) -> _Hash:
    return hashlib.sha256() if digest is None else digest.hasher()


class _Spooled:
    """A provider of the one blob in a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def open(self, desc: Descriptor, /) -> Reader:
        self._file.seek(0)
        return self._file
