"""What content can be read from and written into: one small protocol for each ability.

A backend implements those that it can. Any method may be called from several threads at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cachexport.content.retry import Retry
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest


class Reader(Protocol):
    """A stream of bytes. Whoever opened it closes it."""

    def read(self, size: int, /) -> bytes:
        """Give the next bytes, at most `size`; empty at the end."""

    def close(self) -> None:
        """Release what the stream holds. Closing twice is fine."""


class Provider(Protocol):
    """Something that content can be read from."""

    def open(self, desc: Descriptor, /) -> Reader:
        """Start reading the content of `desc`, unverified; the caller closes.

        Raises NotFound if it does not exist, or another ContentError or BackendError.
        """


@runtime_checkable
class Placed(Protocol):
    """A Provider that says where it is."""

    @property
    def place(self) -> str:
        """What messages call the place."""


@dataclass(frozen=True, slots=True)
class Info:
    """What is known about stored content; `size` is in bytes."""

    digest: Digest
    size: int


@runtime_checkable
class RangedProvider(Protocol):
    """A Provider that can start in the middle of content."""

    def open_from(self, desc: Descriptor, start: int, /) -> Reader:
        """Start reading at byte `start`; otherwise as `open`."""


@runtime_checkable
class InfoProvider(Protocol):
    """Something that can look content up without reading it."""

    def info(self, digest: Digest, /) -> Info:
        """Look content up. Raises NotFound if it does not exist."""


@runtime_checkable
class SizeProvider(Protocol):
    """Something that can look up many blobs at once."""

    def sizes(self, digests: Iterable[Digest], /) -> dict[Digest, int]:
        """Give the size in bytes of each that exists, with as few requests as possible."""


@runtime_checkable
class Distributed(Protocol):
    """A Provider that knows which repositories of registries have or had some content."""

    def repositories(self, digest: Digest, /) -> Mapping[str, Sequence[str]]:
        """Give the repositories by registry host. Sends no request."""


@runtime_checkable
class Composite(Protocol):
    """A Provider that reads each blob from another one."""

    def origin(self, desc: Descriptor, /) -> Provider:
        """Give the provider that has a blob. Raises NotFound."""


class Ingester(Protocol):
    """Something that content can be written into."""

    def missing(self, descs: Iterable[Descriptor], /) -> set[Digest]:
        """Give the digests that do not exist in full, and so have to be ingested."""

    def ingest(self, desc: Descriptor, reader: Reader, /) -> None:
        """Store what `reader` gives, up to its end, under the digest of `desc`.

        Nothing is visible before it is whole: if `reader` raises, nothing is left behind. `reader`
        verifies digest and size, so there is no need to hash here. Storing what exists already is
        fine. The caller closes `reader`.
        """


@runtime_checkable
class Retrying(Protocol):
    """An Ingester that says how often a blob is sent again that broke off on its way."""

    @property
    def retry(self) -> Retry:
        """Give the policy. Ingesters without this ability get `Retry()`."""


@runtime_checkable
class Mounter(Protocol):
    """An Ingester that can take content over from a nearby place without moving its bytes."""

    def mount(self, desc: Descriptor, provider: Provider, /) -> bool:
        """Store the content of `desc` from `provider` without reading it, if that is possible.

        Says whether it was stored. If not, it has to be ingested.
        """


class Staged(Protocol):
    """Content on its way in, which no reader sees yet. One thread at a time."""

    def write(self, block: bytes, /) -> None:
        """Add a block at the end."""

    def commit(self, desc: Descriptor, /) -> None:
        """Store what was written under the digest of `desc`. The caller has checked the digest."""

    def close(self) -> None:
        """Release everything; what was not committed is gone. Closing twice is fine."""


@runtime_checkable
class Stager(Protocol):
    """An Ingester that takes content before its digest is known."""

    def stage(self) -> Staged:
        """Begin; the caller closes."""
