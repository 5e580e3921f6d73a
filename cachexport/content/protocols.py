"""Abilities of a place for content. Each is small; a backend has those that it can have.

All of them may be called from several threads at once.
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
    """A stream of bytes that the one who got it closes."""

    def read(self, size: int, /) -> bytes:
        """Give the next bytes, `size` at most; none at the end."""

    def close(self) -> None:
        """Free what the stream holds; twice is fine."""


class Provider(Protocol):
    """Something that content can be read from."""

    def open(self, desc: Descriptor, /) -> Reader:
        """Start reading the content that `desc` names, unverified; the caller closes.

        Raises NotFound when it is not there, or another ContentError or BackendError.
        """


@runtime_checkable
class Placed(Protocol):
    """A Provider that can say where it is."""

    @property
    def place(self) -> str:
        """What messages call it."""


@dataclass(frozen=True, slots=True)
class Info:
    """What is known of stored content; `size` is in bytes."""

    digest: Digest
    size: int


@runtime_checkable
class RangedProvider(Protocol):
    """A Provider that need not be read from the beginning."""

    def open_from(self, desc: Descriptor, start: int, /) -> Reader:
        """Start reading at a byte, else as `open` does."""


@runtime_checkable
class InfoProvider(Protocol):
    """Something that can tell cheaply whether it has some content."""

    def info(self, digest: Digest, /) -> Info:
        """Look the content up, without reading it. Raises NotFound when it is not there."""


@runtime_checkable
class SizeProvider(Protocol):
    """Something that can tell cheaply what of much content it has, and how large it is."""

    def sizes(self, digests: Iterable[Digest], /) -> dict[Digest, int]:
        """Give the bytes of those that are there, with as few questions as can be."""


@runtime_checkable
class Distributed(Protocol):
    """A Provider that knows which repositories of registries have some content, or had it."""

    def repositories(self, digest: Digest, /) -> Mapping[str, Sequence[str]]:
        """Give the repositories by the host of their registry, without looking there."""


@runtime_checkable
class Composite(Protocol):
    """A Provider that reads each blob from another one."""

    def origin(self, desc: Descriptor, /) -> Provider:
        """Give the provider that has a blob. Raises NotFound."""


class Ingester(Protocol):
    """Something that content can be written into."""

    def missing(self, descs: Iterable[Descriptor], /) -> set[Digest]:
        """Give the digests of those that are not there whole and have to be ingested."""

    def ingest(self, desc: Descriptor, reader: Reader, /) -> None:
        """Store what `reader` gives, up to its end, under the digest of `desc`.

        Nothing is visible before it is whole: an error that `reader` raises leaves nothing
        behind. `reader` is one that verifies, so nothing has to be hashed here. Storing what is
        there already is fine. The caller closes `reader`.
        """


@runtime_checkable
class Retrying(Protocol):
    """An Ingester that says how often a blob is sent again that broke off on its way."""

    @property
    def retry(self) -> Retry:
        """Give the policy; without this ability it is `Retry()`."""


@runtime_checkable
class Mounter(Protocol):
    """An Ingester that can take content from a place near it without moving the bytes."""

    def mount(self, desc: Descriptor, provider: Provider, /) -> bool:
        """Store the content of `desc` from `provider` if it can be had there without reading it.

        Says whether it was; if not, it has to be ingested.
        """


class Staged(Protocol):
    """Content on its way in, which nobody sees. One thread at a time."""

    def write(self, block: bytes, /) -> None:
        """Add a block at the end."""

    def commit(self, desc: Descriptor, /) -> None:
        """Store what was written under the digest of `desc`, which the caller has checked."""

    def close(self) -> None:
        """Free what is held; what was not committed is gone. Twice is fine."""


@runtime_checkable
class Stager(Protocol):
    """An Ingester that can take content before its digest is known."""

    def stage(self) -> Staged:
        """Begin; the caller closes."""
