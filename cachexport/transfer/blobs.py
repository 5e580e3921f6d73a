"""Moving blobs, many at once, in the cheapest way that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.content.copy import copy_blob
from cachexport.content.parallel import DEFAULT_THREADS, map_parallel
from cachexport.content.protocols import Adopter
from cachexport.content.retry import persistently
from cachexport.transfer.prepare import LayerProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from cachexport.content.protocols import Ingester, Provider
    from cachexport.oci.descriptor import Descriptor

    Moving = Callable[[Descriptor], AbstractContextManager[Callable[[int], None]]]


def move_blob(
    provider: Provider, ingester: Ingester, desc: Descriptor, moved: Callable[[int], None]
) -> None:
    """Have `ingester` take a blob over from where it is, or else copy it, as often as need be.

    Raises as `copy_blob` does.
    """
    if isinstance(provider, LayerProvider):
        provider = provider.origin(desc)
    if isinstance(ingester, Adopter) and ingester.adopt(desc, provider):
        moved(desc.size)
        return
    persistently(lambda: copy_blob(provider, ingester, desc, moved))


def move_missing(
    provider: Provider,
    ingester: Ingester,
    descs: Iterable[Descriptor],
    moving: Moving,
    threads: int = DEFAULT_THREADS,
) -> None:
    """Move the blobs that `ingester` lacks; around each is a block of `moving`.

    Raises as `copy_blob` does, for the first blob that fails.
    """
    wanted = {desc.digest: desc for desc in descs}
    missing = ingester.missing(wanted.values())

    def move(desc: Descriptor) -> None:
        with moving(desc) as moved:
            move_blob(provider, ingester, desc, moved)

    lacking = [desc for digest, desc in wanted.items() if digest in missing]
    map_parallel(move, lacking, threads)
