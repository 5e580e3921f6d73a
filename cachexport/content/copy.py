"""Copying blobs from a provider to an ingester: verified in the stream, retried when they break."""

from __future__ import annotations

import io
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from cachexport.content.parallel import DEFAULT_THREADS, map_parallel
from cachexport.content.protocols import Composite, Mounter, Retrying
from cachexport.content.retry import Retry
from cachexport.content.verify import VerifyingReader, from_source, open_verified
from cachexport.errors import Auth, CachexportError, Integrity, NotFound, TransferError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from cachexport.content.protocols import Ingester, Provider
    from cachexport.oci.descriptor import Descriptor

    Moving = Callable[[Descriptor], AbstractContextManager[Callable[[int], None]]]


def copy_blob(
    source: Provider,
    target: Ingester,
    desc: Descriptor,
    moved: Callable[[int], None] | None = None,
) -> None:
    """Copy the content that `desc` names once, holding no more than a block of it in memory.

    `moved` is called with the size of every block.

    Raises NotFound if the source lacks it, Integrity if the source has other content there, Auth
    if either side refuses the login, else TransferError, whose `origin` says which side failed.
    The target then has nothing of it.
    """
    try:
        reader = open_verified(source, desc, moved)
    except (Auth, NotFound):
        raise
    except (OSError, CachexportError) as error:
        raise from_source(error, desc, "open") from error
    with closing(reader), _to_destination(desc):
        target.ingest(desc, reader)


def move_blob(
    provider: Provider, ingester: Ingester, desc: Descriptor, moved: Callable[[int], None]
) -> None:
    """Mount a blob in `ingester` if it can, else copy it; retry as the ingester's policy says.

    Raises as `copy_blob` does.
    """
    if isinstance(provider, Composite):
        provider = provider.origin(desc)
    if isinstance(ingester, Mounter) and ingester.mount(desc, provider):
        moved(desc.size)
        return
    _retry(ingester).call(partial(copy_blob, provider, ingester, desc, moved))


def move_missing(
    provider: Provider,
    ingester: Ingester,
    descs: Iterable[Descriptor],
    moving: Moving,
    threads: int = DEFAULT_THREADS,
) -> None:
    """Move the blobs that `ingester` lacks. Each moves inside a `with moving(desc)` block.

    Raises as `copy_blob` does, for the first blob that fails.
    """
    wanted = {desc.digest: desc for desc in descs}
    missing = ingester.missing(wanted.values())

    def move(desc: Descriptor) -> None:
        with moving(desc) as moved:
            move_blob(provider, ingester, desc, moved)

    lacking = [desc for digest, desc in wanted.items() if digest in missing]
    map_parallel(move, lacking, threads)


def ingest_bytes(target: Ingester, desc: Descriptor, raw: bytes) -> None:
    """Store bytes that are in memory; retry as the ingester's policy says.

    Raises Integrity or TransferError, as `copy_blob` does.
    """

    def ingest() -> None:
        with _to_destination(desc):
            target.ingest(desc, VerifyingReader(io.BytesIO(raw), desc))

    _retry(target).call(ingest)


def _retry(ingester: Ingester) -> Retry:
    return ingester.retry if isinstance(ingester, Retrying) else Retry()


@contextmanager
def _to_destination(desc: Descriptor) -> Iterator[None]:
    """Turn errors in the block into a TransferError whose origin is the destination."""
    try:
        yield
    except (Auth, Integrity, TransferError):
        raise
    except (OSError, CachexportError) as error:
        message = f"cannot write blob {desc.digest} to the target: {error}"
        raise TransferError(message, op="ingest", origin="destination") from error
