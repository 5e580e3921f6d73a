"""Verifying content while it is read: size and digest. Nothing else verifies."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from cachexport.content.protocols import Placed
from cachexport.errors import CachexportError, Integrity, TransferError
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachexport.content.protocols import Provider, Reader
    from cachexport.oci.descriptor import Descriptor

BLOCK = 256 << 10
"""Bytes per block: few enough to stay in a core's cache while they are hashed and sent, enough to
make the cost of Python negligible."""


class VerifyingReader:
    """A stream that raises Integrity before its end if size or digest differ from `desc`.

    It gives out the last byte only after digest and size were found right. So a reader that knows
    the length and stops there never ends up with wrong content. Errors of the stream
    itself come as TransferError with the origin `source`. `place` says where it is read.
    """

    def __init__(
        self,
        reader: Reader,
        desc: Descriptor,
        moved: Callable[[int], None] | None = None,
        place: str = "",
    ) -> None:
        self._reader = reader
        self._place = place
        self._moved = moved
        self._desc = desc
        self._left = desc.size
        self._hasher = desc.digest.hasher()

    def read(self, size: int = -1, /) -> bytes:
        """Give the next bytes, `size` at most (all for a negative one); none at the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(BLOCK), b""))
        block = self._next(size)
        self._left -= len(block)
        if self._left < 0:
            raise self._wrong(f"more than {self._desc.size} bytes")
        if not block and self._left and size:
            raise self._wrong(f"{self._desc.size - self._left} bytes, wanted {self._desc.size}")
        self._hasher.update(block)
        if block and not self._left:
            self._finish()
        elif not block and not self._desc.size:
            self._check_digest()
        if self._moved is not None and block:
            self._moved(len(block))
        return block

    def close(self) -> None:
        """Close the stream below."""
        self._reader.close()

    def _next(self, size: int) -> bytes:
        try:
            return self._reader.read(size)
        except (OSError, CachexportError) as error:
            raise from_source(error, self._desc, "read") from error

    def _finish(self) -> None:
        if self._next(1):
            raise self._wrong(f"more than {self._desc.size} bytes")
        self._check_digest()

    def _check_digest(self) -> None:
        if not self._desc.digest.matches(self._hasher):
            raise self._wrong(f"the digest {Digest.from_hasher(self._hasher)}")

    def _wrong(self, found: str) -> Integrity:
        place = f" (read from {self._place})" if self._place else ""
        return Integrity(f"blob {self._desc.digest} is corrupt: it has {found}{place}")


def from_source(error: Exception, desc: Descriptor, op: str) -> TransferError:
    """Make the TransferError for a failure to read `desc`."""
    message = f"cannot {op} blob {desc.digest} in the source: {error}"
    return TransferError(message, op=op, origin="source")


def open_verified(
    provider: Provider, desc: Descriptor, moved: Callable[[int], None] | None = None
) -> VerifyingReader:
    """Start reading `desc`, verified; the caller closes. Raises what `provider.open` raises.

    `moved` is called with the size of every block.
    """
    place = provider.place if isinstance(provider, Placed) else ""
    return VerifyingReader(provider.open(desc), desc, moved, place)


def read_blob(provider: Provider, desc: Descriptor, *, limit: int | None = None) -> bytes:
    """Read small content as a whole, verified: a config, a manifest.

    Raises Integrity if it is larger than `limit` bytes or differs from `desc`.
    """
    if limit is not None and desc.size > limit:
        raise Integrity(f"blob {desc.digest} is too large ({desc.size} > {limit})")
    with closing(open_verified(provider, desc)) as reader:
        return reader.read()
