"""The few operations that caches need of a store of objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from cachexport.errors import CachexportError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cachexport.content.protocols import Reader

ABSENT = ""
"""The version of an object that does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An object as the store describes it."""

    key: str
    size: int
    """Bytes."""
    version: str
    """Changes whenever the content does, as an ETag."""
    modified: float | None
    """Seconds since 1970 at which it was last written or touched, by the store's clock.

    None where the store does not tell.
    """
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What was stored beside it, with lower-case keys. Listings leave it out."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing, in the order of the store: mostly that of the keys."""

    objects: tuple[Stored, ...]
    following: str = ""
    """The token with which `list_page` goes on; empty after the last part."""

    @property
    def is_last(self) -> bool:
        """Whether there is no more."""
        return not self.following


class ObjectClient(Protocol):
    """A bucket or container. Threads may share it.

    Each call raises NotFound where the object or the bucket is not there, Auth where the store
    refuses who is asking, else BackendError; messages say which object is meant.
    """

    @property
    def place(self) -> str:
        """The bucket as messages name it, such as `s3://bucket`."""

    @property
    def parallelism(self) -> int:
        """How many calls at once go best."""

    def head(self, key: str, /) -> Stored:
        """Describe an object."""

    def list_page(self, prefix: str, /, *, after: str = "", following: str = "") -> Page:
        """List objects whose keys begin with `prefix` and come after `after`.

        One request. `following` of the page before goes on where that ended, and misses nothing.
        `after` may miss objects in stores that list folder by folder, not in the order of the keys.
        Raises FailedPrecondition where the store, or this login, can list nothing.
        """

    def read(self, key: str, /, *, start: int = 0) -> Reader:
        """Read an object from a byte on; the caller closes."""

    def load(self, key: str, /) -> tuple[bytes, Stored]:
        """Give the whole of a small object with its description, both of one moment."""

    def write(self, key: str, reader: Reader, size: int, /) -> None:
        """Store `size` bytes, visible only when all are there.

        An error that `reader` raises leaves nothing behind. What was there is replaced.
        """

    def replace(
        self, key: str, raw: bytes, metadata: Mapping[str, str], /, *, version: str | None
    ) -> str:
        """Store something small and give its version.

        Raises Outdated unless what is there has `version` (ABSENT: is not there), if that is
        given; a store without conditional writes may not notice.
        """

    def touch(self, stored: Stored, /) -> str:
        """Make an object as young as if it had just been written, and give its version.

        In some stores that is another one then. What was stored beside the object stays.
        """

    def delete_all(self, keys: Sequence[str], /) -> None:
        """Delete objects, a thousand at most; those that are not there are fine."""

    def now(self) -> float:
        """Give the seconds since 1970 by the store's clock."""

    def delete(self, key: str, /, *, version: str | None = None) -> None:
        """Delete an object; one that is not there is fine. Raises Outdated as `replace` does."""

    def close(self) -> None:
        """Free what is held; twice is fine."""


def landed(
    client: ObjectClient, key: str, raw: bytes, metadata: Mapping[str, str], error: Exception
) -> str:
    """Give the version of a write that ended in `error`, if it has arrived all the same.

    An SDK tries again when an answer is lost, and finds the condition of the write outdated by
    the write itself. What is there decides; raises `error` where it is not what was written.
    """
    try:
        found, stored = client.load(key)
    except CachexportError:
        raise error from None
    if found == raw and dict(stored.metadata) == dict(metadata):
        return stored.version
    raise error
