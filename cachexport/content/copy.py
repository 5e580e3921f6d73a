"""Copying one blob from a provider to an ingester, streaming and verified."""

from __future__ import annotations

import io
from contextlib import closing
from typing import TYPE_CHECKING

from cachexport.content.verify import VerifyingReader, from_source, open_verified
from cachexport.errors import Auth, CachexportError, Integrity, NotFound, TransferError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachexport.content.protocols import Ingester, Provider
    from cachexport.oci.descriptor import Descriptor


def copy_blob(
    source: Provider,
    target: Ingester,
    desc: Descriptor,
    moved: Callable[[int], None] | None = None,
) -> None:
    """Copy the content that `desc` names, without holding more than a block of it in memory.

    `moved` hears of every block how many bytes it had.

    Raises NotFound or Integrity when the source lacks it or has something else under its
    digest, Auth when either side refuses who is asking, else TransferError, whose `origin` says
    which side failed. The target then has nothing of it.
    """
    try:
        reader = open_verified(source, desc, moved)
    except (Auth, NotFound):
        raise
    except (OSError, CachexportError) as error:
        raise from_source(error, desc, "open") from error
    with closing(reader):
        _ingest(target, desc, reader)


def ingest_bytes(target: Ingester, desc: Descriptor, raw: bytes) -> None:
    """Store bytes that are at hand. Raises Integrity or TransferError, as `copy_blob` does."""
    _ingest(target, desc, VerifyingReader(io.BytesIO(raw), desc))


def _ingest(target: Ingester, desc: Descriptor, reader: VerifyingReader) -> None:
    try:
        target.ingest(desc, reader)
    except (Auth, Integrity, TransferError):
        raise
    except (OSError, CachexportError) as error:
        message = f"cannot write blob {desc.digest} to the target: {error}"
        raise TransferError(message, op="ingest", origin="destination") from error
