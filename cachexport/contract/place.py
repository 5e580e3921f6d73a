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
    """A name, as it was when the names were listed."""

    name: str
    version: str
    """Tells what it stood for from everything else that it may stand for."""
    modified: float | None
    """Seconds since 1970, by the clock of the place, at which it was last written or used.

    None where the place does not tell.
    """
    is_apart: bool = False
    """Whether it stands beside the caches, one of which may have the same name; see Hosting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a name needs, which can be told without reading all of it."""

    is_cache: bool
    """False for anything else, such as an image."""
    is_image: bool = False
    """Whether it is an image, or an index of some, and no cache."""
    sizes: Mapping[Digest, int]
    """Every blob, its manifests and configs too, with its bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents(Needs):
    """What stands under a name."""

    caches: tuple[Cache, ...]
    """Empty for what is no cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBlob:
    """A blob as it lies in a place; `size` is in bytes."""

    digest: Digest
    size: int
    modified: float
    """Seconds since 1970, by the clock of the place, at which it was written or touched."""


class Written(Protocol):
    """Makes the specification that writes a name."""

    def __call__(self, name: str, /, *, force: bool = False) -> Spec:
        """Give it; with `force` it replaces whatever is there, were it no cache."""


class Place(Protocol):
    """All names of a place. Threads may share it."""

    @property
    def title(self) -> str:
        """How messages name it, such as `s3://bucket/prefix/`."""

    def entries(self) -> list[Entry]:
        """List all names, sorted, but those that a Hosting keeps apart.

        Raises NotFound when there is no such place.
        """

    @property
    def source(self) -> Callable[[str], Spec]:
        """Give the specification that reads a name."""

    @property
    def target(self) -> Written:
        """Give the specification that writes a name, with the attributes that were given."""

    def needs(self, entry: Entry, /) -> Needs:
        """Say what an entry needs now. Raises as `contents` does."""

    def contents(self, entry: Entry, /) -> Contents:
        """Read what an entry stands for now.

        Raises NotFound when it is gone, Integrity or WireFormat when it cannot be understood.
        """

    def salvage(self, entry: Entry, /) -> WrappedCache | None:
        """Read as much of a cache as can be understood, where `contents` may raise.

        None when that is nothing, or the name is gone or no cache.
        """

    def withdraw(self, entries: Sequence[Entry], /) -> dict[str, CachexportError]:
        """Take names away; their blobs stay. Those that are gone already are fine.

        All of them are kept apart, or none. Gives those that stay, by name, with why: Outdated for
        one that stands for something else by now, FailedPrecondition where others would go with it
        or the place allows none of this.
        """

    def close(self) -> None:
        """Free what is held; twice is fine."""


@runtime_checkable
class Sweepable(Protocol):
    """A Place of which the blobs can be listed and deleted. Registries do that themselves."""

    @property
    def storage(self) -> str:
        """Tell where the blobs are: places with the same one share them."""

    @property
    def shortest_grace(self) -> float:
        """Seconds for which a blob may be counted on by an export that has not named it yet."""

    def now(self) -> float:
        """Give the seconds since 1970 by the clock of the place."""

    def strays(self, beside: Sequence[Place], /) -> Iterable[Mapping[Digest, int]]:
        """Give what is needed by that which has no name, or is named by others. See `Needs`.

        `beside` are the places, this one too, whose names are known and therefore left out.
        """

    def alone(self) -> AbstractContextManager[None]:
        """Keep our own exports away while the block runs, where that is possible.

        Raises Conflict when one is running.
        """

    def blobs(self) -> Iterator[StoredBlob]:
        """List all blobs."""

    def present(self, digests: Iterable[Digest], /) -> set[Digest]:
        """Give those of these blobs that are there."""

    def sweep(
        self, is_doomed: Callable[[StoredBlob], bool], /
    ) -> Iterator[tuple[StoredBlob, bool]]:
        """Delete the blobs of which the test says so; give every blob, and whether it was deleted.

        Each is looked at anew right before. Goes on only while the iterator is read.
        """

    def touch(self, entry: Entry, digests: Iterable[Digest], /) -> set[Digest]:
        """Make a name and these blobs as young as if they had just been written.

        Gives those that are not there.
        """

    def delete(self, digests: Sequence[Digest], /) -> None:
        """Delete these blobs; one that is not there is fine."""


class Content(Protocol):
    """A Provider and InfoProvider over all blobs of a place."""

    def open(self, desc: Descriptor, /) -> Reader:
        """See Provider."""

    def info(self, digest: Digest, /) -> Info:
        """See InfoProvider."""


@runtime_checkable
class Hosting(Protocol):
    """A Place that takes blobs before anything names them, and names manifests of any kind.

    That is what a registry does, so such a place can be served as one.
    """

    @property
    def content(self) -> Content:
        """All blobs, manifests among them."""

    @property
    def apart(self) -> str:
        """Tell where the names are that `assign` gives, if they stand beside those of caches.

        Then `assigned` lists them, not `entries`. Places with the same one share them. Empty where
        caches and all else are under one another's names.
        """

    def ingesting(self) -> AbstractContextManager[Ingester]:
        """Give where blobs go. As long as the block runs nobody takes them for left behind."""

    def assigned(self) -> list[Entry]:
        """List the names that are kept apart, sorted."""

    def resolve(self, name: str, /) -> Descriptor:
        """Describe the manifest that was assigned to a name. Raises NotFound."""

    def assign(self, name: str, desc: Descriptor, /) -> None:
        """Give a name to a manifest of which all is there, in place of what had it."""

    def unassign(self, name: str, /) -> None:
        """Take back what `assign` did where that is kept apart; twice is fine."""


@runtime_checkable
class Unprunable(Protocol):
    """A Place whose blobs nobody deletes, since nobody can tell which are safe to: no prune."""

    @property
    def why_unprunable(self) -> str:
        """Say why, and what to do instead; a message goes on with it."""


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
    """What a place is to expire."""

    document: dict[str, Any]
    """The rules as the place's own tools take them."""
    name_days: int
    """Days after which a name goes that was not written."""
    blob_days: int
    """Days after which a blob goes that was neither written nor touched."""


class Expiry(Protocol):
    """The rules of one place."""

    def rules(self, days: int, /) -> Rules:
        """Make the rules that let names go after so many days. Asks nothing.

        Raises FailedPrecondition where no rule tells names from blobs.
        """

    def apply(self, rules: Rules, /) -> Rules:
        """Have the place go by these rules; its other ones stay. Gives what it goes by then.

        Raises Auth or BackendError.
        """

    def close(self) -> None:
        """Free what is held; twice is fine."""


@runtime_checkable
class Expiring(Protocol):
    """A Backend whose places can expire things."""

    def expiry(self, spec: Spec, /) -> Expiry:
        """Read the attributes of a `--cache-to` or `--cache-from`. Raises InvalidAttr."""
