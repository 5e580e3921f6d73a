"""A whole place for caches: a directory, a bucket's prefix or a repository, with all its names.

A backend that can show one is a `PlaceBackend`; one whose places expire what is old by themselves
is `Expiring`. Both are optional, so they are no part of `Backend`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from cachexport.content.protocols import Info, Ingester, Reader
    from cachexport.contract.spec import Spec
    from cachexport.errors import CachexportError
    from cachexport.model.envelope.cache import Cache, WrappedCache
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A name as it was when the names were listed."""

    name: str
    version: str
    """Identifies what the name stood for: an ETag, a digest. It changes whenever that does."""
    modified: float | None
    """When it was last written or used: seconds since 1970 by the clock of the place.

    None where the place does not say.
    """
    is_apart: bool = False
    """Whether it is listed apart from the caches, which may have the same name; see Hosting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a name needs. This can be found without reading all of it."""

    is_cache: bool
    """False for an image and for anything else."""
    is_image: bool = False
    """Whether it is an image or an index of images, and no cache."""
    sizes: Mapping[Digest, int]
    """The size in bytes of every blob, manifests and configs included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents(Needs):
    """What stands under a name."""

    caches: tuple[Cache, ...]
    """Empty if it is no cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBlob:
    """A blob as it lies in a place; `size` is in bytes."""

    digest: Digest
    size: int
    modified: float
    """Seconds since 1970, by the clock of the place, at which it was written or touched."""


class Written(Protocol):
    """Makes the specification with which a name is written."""

    def __call__(self, name: str, /, *, force: bool = False) -> Spec:
        """Give it. With `force` it replaces what is there, even if that is no cache."""


class Place(Protocol):
    """All names of a place. Threads may share it."""

    @property
    def title(self) -> str:
        """What messages call it, for example `s3://bucket/prefix/`."""

    def entries(self) -> list[Entry]:
        """List all names, sorted, except those that a Hosting lists as `assigned`.

        Raises NotFound if the place does not exist.
        """

    @property
    def source(self) -> Callable[[str], Spec]:
        """Make the specification with which a name is read."""

    @property
    def target(self) -> Written:
        """Make the specification with which a name is written; it keeps the given attributes."""

    def needs(self, entry: Entry, /) -> Needs:
        """Find what an entry needs now. Raises what `contents` raises."""

    def contents(self, entry: Entry, /) -> Contents:
        """Read what an entry stands for now.

        Raises NotFound if it is gone, Integrity or WireFormat if it cannot be understood.
        """

    def salvage(self, entry: Entry, /) -> WrappedCache | None:
        """Read as much of a damaged cache as can be understood; `contents` would raise.

        None if nothing can, if the name is gone, or if it is no cache.
        """

    def withdraw(self, entries: Sequence[Entry], /) -> dict[str, CachexportError]:
        """Remove names; their blobs stay. A name that is gone already is no error.

        Either all of the entries are `is_apart`, or none is. Gives an error for each name that
        stays: Outdated if it stands for something else by now, FailedPrecondition if others would
        go with it or if the place does not allow it.
        """

    def close(self) -> None:
        """Release connections and files. Closing twice is fine."""


@runtime_checkable
class Sweepable(Protocol):
    """A Place whose blobs can be listed and deleted. Registries do that themselves."""

    @property
    def storage(self) -> str:
        """Identifies where the blobs are. Places that give the same share their blobs."""

    @property
    def shortest_grace(self) -> float:
        """Seconds for which an export may rely on a blob before it names what needs it."""

    def now(self) -> float:
        """Give the seconds since 1970 by the clock of the place."""

    def strays(self, beside: Sequence[Place], /) -> Iterable[Mapping[Digest, int]]:
        """Give the blobs needed by manifests that no name of `beside` leads to; see `Needs.sizes`.

        These are manifests without a name, and those that names of other places need. `beside` are
        the places whose names the caller knows, this one included.
        """

    def alone(self) -> AbstractContextManager[None]:
        """Keep our own exports out while the block runs, if the place has locks.

        Raises Conflict while an export is running.
        """

    def blobs(self) -> Iterator[StoredBlob]:
        """List all blobs."""

    def present(self, digests: Iterable[Digest], /) -> set[Digest]:
        """Give the blobs among these that exist."""

    def sweep(
        self, is_doomed: Callable[[StoredBlob], bool], /
    ) -> Iterator[tuple[StoredBlob, bool]]:
        """Delete the doomed blobs. Gives every blob, and whether it was deleted.

        Each blob is looked at once more right before it is deleted. The sweep advances only as the
        iterator is read.
        """

    def touch(self, entry: Entry, digests: Iterable[Digest], /) -> set[Digest]:
        """Renew the age of a name and of these blobs, as if they had just been written.

        Gives the blobs that do not exist.
        """

    def delete(self, digests: Sequence[Digest], /) -> None:
        """Delete these blobs. A blob that does not exist is no error."""


class Content(Protocol):
    """A Provider and InfoProvider over all blobs of a place."""

    def open(self, desc: Descriptor, /) -> Reader:
        """See Provider."""

    def info(self, digest: Digest, /) -> Info:
        """See InfoProvider."""


@runtime_checkable
class Hosting(Protocol):
    """A Place that takes blobs before anything names them, and names manifests of any kind.

    A registry does the same, so a gateway can serve this place as one.
    """

    @property
    def content(self) -> Content:
        """All blobs, manifests included."""

    @property
    def apart(self) -> str:
        """Identifies where `assign` keeps its names, if it keeps them apart from those of caches.

        Then `assigned` lists them and `entries` does not. Places that give the same share these
        names. Empty if caches and everything else share one set of names.
        """

    def ingesting(self) -> AbstractContextManager[Ingester]:
        """Give the ingester for blobs. No prune takes them for garbage while the block runs."""

    def assigned(self) -> list[Entry]:
        """List the names that are kept apart, sorted."""

    def resolve(self, name: str, /) -> Descriptor:
        """Describe the manifest that was assigned to a name. Raises NotFound."""

    def assign(self, name: str, desc: Descriptor, /) -> None:
        """Give a name to a manifest that is complete, whatever the name stood for before."""

    def unassign(self, name: str, /) -> None:
        """Remove a name that `assign` keeps apart. A name that does not exist is no error."""


@runtime_checkable
class Unprunable(Protocol):
    """A Place that cannot be pruned, because nothing tells which blobs are safe to delete."""

    @property
    def why_unprunable(self) -> str:
        """Says why, and what to do instead. It ends the sentence of an error."""


@runtime_checkable
class PlaceBackend(Protocol):
    """A Backend that can show a place as a whole."""

    def place(self, spec: Spec, /) -> Place:
        """Read the attributes of a `--cache-from` or `--cache-to`. Looks nothing up yet."""

    def name(self, spec: Spec, /) -> str | None:
        """Give the name that a specification has, or would have by default.

        None for one that names a digest instead.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When names and blobs of a place expire."""

    document: dict[str, Any]
    """The rules in the format of the place's own tools."""
    name_days: int
    """Days after its last write at which a name expires."""
    blob_days: int
    """Days after its last write or touch at which a blob expires."""


class Expiry(Protocol):
    """The rules of one place."""

    def rules(self, days: int, /) -> Rules:
        """Make the rules by which names expire after so many days. Sends no request.

        Raises FailedPrecondition if no rule of the place can tell names from blobs.
        """

    def apply(self, rules: Rules, /) -> Rules:
        """Put these rules into force; other rules of the place stay. Gives the rules in force.

        Raises Auth or BackendError.
        """

    def close(self) -> None:
        """Free what is held; twice is fine."""


@runtime_checkable
class Expiring(Protocol):
    """A Backend whose places can expire names and blobs by themselves."""

    def expiry(self, spec: Spec, /) -> Expiry:
        """Read the attributes of a `--cache-to` or `--cache-from`. Raises InvalidAttr."""
