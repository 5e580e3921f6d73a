"""A local content store as a whole, and where a user's own is."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cachexport.content.clock import clock as context_clock
from cachexport.content.files import lock
from cachexport.errors import FailedPrecondition
from cachexport.images.store.content import StoreContent
from cachexport.images.store.database import Context, Database
from cachexport.images.store.directories import Directories
from cachexport.images.store.garbage import collect, preview
from cachexport.images.store.images import Images
from cachexport.images.store.leases import Leases
from cachexport.images.store.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from cachexport.images.store.garbage import Collected


VARIABLE = "CACHEXPORT_STORE"


def home_store(env: Mapping[str, str]) -> Path:
    """Give the directory that $CACHEXPORT_STORE names, else one where XDG keeps a user's data.

    See the XDG Base Directory Specification: a path that is not absolute does not count. Raises
    FailedPrecondition where neither says so and the user has no home.
    """
    if given := env.get(VARIABLE):
        return Path(given)
    data = Path(env.get("XDG_DATA_HOME", ""))
    if not data.is_absolute():
        try:
            home = Path(env.get("HOME") or Path.home())
        except RuntimeError:
            message = f"there is no place for a store: set ${VARIABLE}, since this user has no home"
            raise FailedPrecondition(message) from None
        data = home / ".local" / "share"
    return data / "cachexport" / "store"


def _now() -> float:
    return context_clock().now()


STALE_AFTER = 24 * 3600.0
"""Seconds after which an ingestion without a writer is garbage."""


class Store:
    """The store in a directory. Threads may share it; a forked child opens its own.

    `open` makes one; the caller closes, or uses it in a `with` block.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self.content = StoreContent(context)
        self.images = Images(context.database, context.clock)
        self.leases = Leases(context.database, context.clock)
        self.directories = Directories(context)

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        clock: Callable[[], float] | None = None,
        timeout: float = lock.TIMEOUT,
        patience: float | None = None,
    ) -> Self:
        """Open the store in `directory`, which is made if need be.

        `clock` gives seconds since 1970, the same for all processes, by default as the clock of the
        context does; only leases and ages depend on it. All methods wait `timeout` seconds for
        other writers, then raise Conflict. `patience` is the old name of `timeout`. Raises
        FailedPrecondition for a directory with other things, or a store of a newer version, and
        BackendError.
        """
        if patience is not None:
            message = "patience is called timeout now, and goes with the next minor version"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            timeout = patience
        paths = Paths(directory)
        paths.make()
        database = Database(paths, timeout)
        return cls(Context(paths=paths, database=database, clock=clock or _now))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def collect_garbage(
        self,
        *,
        stale_after: float = STALE_AFTER,
        images: Collection[str] = (),
        dry_run: bool = False,
    ) -> Collected:
        """Remove what no name and no lease holds, expired leases, and what killed processes left.

        An ingestion is abandoned when it has no writer and had none for `stale_after` seconds, a
        writable directory when its process has ended; what is mounted in it is unmounted. The names
        in `images` that are there go first. Any number of processes may collect at once, while
        others do anything else. With `dry_run` nothing is removed, and ingestions and directories
        are not looked at.

        Raises the error of a directory that could not be removed, or an ExceptionGroup of several,
        after all else was removed.
        """
        if dry_run:
            return preview(self._context, images)
        return collect(self._context, stale_after, images)

    def close(self) -> None:
        """Close the index; twice is fine."""
        self._context.database.close()
