"""Writing blobs into a layout."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.backends.local.layout import check_target
from cachexport.backends.local.staging import (
    file_system_time,
    remove_all_staged,
    remove_stale,
    staged,
)
from cachexport.content.files import lock
from cachexport.content.files.errors import translated
from cachexport.content.files.staged import sync_directory
from cachexport.content.verify import BLOCK
from cachexport.errors import Integrity
from cachexport.oci.layout import LAYOUT_MARK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cachexport.backends.local.layout import Layout
    from cachexport.content.files.lock import FileLock
    from cachexport.content.files.staged import StagedFile
    from cachexport.content.protocols import Reader
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Session:
    """An export that has begun. Its shared lock keeps resets away from what it has written."""

    lock: FileLock
    started: int
    """In nanoseconds of the file system's clock; see `file_system_time`."""


class LayoutStaged:
    """A Staged over a temporary file of a layout."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._stack = ExitStack()
        self._file = self._stack.enter_context(staged(layout, 0o444))

    def write(self, block: bytes, /) -> None:
        """See Staged."""
        self._file.write(block)

    def commit(self, desc: Descriptor, /) -> None:
        """See Staged. Raises Integrity when what was written has another size."""
        size = os.fstat(self._file.fd).st_size
        if size != desc.size:
            raise Integrity(f"blob {desc.digest} is to have {desc.size} bytes, not {size}")
        _commit(self._layout, self._file, desc)

    def close(self) -> None:
        """See Staged."""
        self._stack.close()


class LayoutIngester:
    """An Ingester over a layout. The directory is made when the first blob is written.

    Threads may share it. From the first call to `close` it holds a shared lock that says that an
    export is running; the lock is our own, BuildKit does not know it.
    """

    def __init__(self, layout: Layout, *, timeout: float = lock.TIMEOUT) -> None:
        self._layout = layout
        self._timeout = timeout
        self._guard = threading.Lock()
        self._session: Session | None = None

    def missing(self, descs: Iterable[Descriptor], /) -> set[Digest]:
        """See Ingester. A blob of another size is missing: it is replaced as a whole."""
        wanted = list(descs)
        check_target(self._layout)
        with translated("read", self._layout.blobs):
            if not self._layout.blobs.is_dir():
                return {desc.digest for desc in wanted}
        # What is said to be there must not be deleted before it has a name.
        self.begin()
        return {desc.digest for desc in wanted if not self._layout.holds(desc)}

    def ingest(self, desc: Descriptor, reader: Reader, /) -> None:
        """See Ingester. The names of blobs are on the disk after `sync` only."""
        self.begin()
        with staged(self._layout, 0o444) as file:
            for block in iter(lambda: reader.read(BLOCK), b""):
                file.write(block)
            _commit(self._layout, file, desc)

    def stage(self) -> LayoutStaged:
        """See Stager. The export has to go on until what is staged is committed or closed."""
        self.begin()
        return LayoutStaged(self._layout)

    def begin(self) -> Session:
        """Begin the export unless it has begun: make the layout, take the lock, clean up.

        Raises FailedPrecondition when the directory has something else, Conflict when another
        process resets it all the time.
        """
        with self._guard:
            if self._session is None:
                self._session = self._begin()
            return self._session

    def sync(self) -> None:
        """Wait until all blobs, whoever wrote them, can be found after a loss of power."""
        blobs = self._layout.blobs
        with translated("read", blobs):
            folders = [path for path in blobs.iterdir() if path.is_dir()]
        for path in (*folders, blobs, self._layout.directory):
            sync_directory(path)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Say whether no other export is running; if so, none begins before the block has ended.

        The export ends with the block.
        """
        session = self.begin()
        try:
            yield session.lock.try_exclusive()
        finally:
            self.close()

    def close(self) -> None:
        """End the export; twice is fine."""
        with self._guard:
            if self._session is not None:
                self._session.lock.close()
            self._session = None

    def _begin(self) -> Session:
        layout = self._layout
        check_target(layout)
        with translated("write", layout.directory):
            os.makedirs(layout.private, 0o755, exist_ok=True)
        with translated("lock", layout.directory):
            remove_all_staged(layout)
            taken = lock.acquire(layout.exports_lock, shared=True, timeout=self._timeout)
        try:
            started = file_system_time(layout)
            remove_stale(layout, started)
            _write_mark(layout)
        except BaseException:
            taken.close()
            raise
        return Session(taken, started)


def _commit(layout: Layout, file: StagedFile, desc: Descriptor) -> None:
    file.seal()
    target = layout.blob(desc.digest)
    with translated("write", layout.directory):
        os.makedirs(target.parent, 0o755, exist_ok=True)
    file.commit(target)


def _write_mark(layout: Layout) -> None:
    with translated("read", layout.mark):
        if layout.mark.is_file() and layout.mark.read_bytes() == LAYOUT_MARK:
            return
    with staged(layout, 0o644) as file:
        file.write(LAYOUT_MARK)
        file.seal()
        file.commit(layout.mark)
