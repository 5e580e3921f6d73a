"""Writing blobs into a layout: each is a temporary file until it is whole."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.backends.local.layout import check_target
from cachexport.content.files import lock
from cachexport.content.files.errors import translated
from cachexport.content.files.staged import SUFFIX, sync_directory
from cachexport.content.files.staged import staged as staged_in
from cachexport.content.verify import BLOCK
from cachexport.errors import Conflict, Integrity
from cachexport.oci.layout import LAYOUT_MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from cachexport.backends.local.layout import Layout
    from cachexport.content.files.lock import FileLock
    from cachexport.content.files.staged import StagedFile
    from cachexport.content.protocols import Reader
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class ExportSession:
    """An export under way. Its shared lock keeps a reset from deleting its blobs."""

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
    """An Ingester over a layout. Makes the directory with the first blob. Threads may share it.

    From its first call until `close` it holds a shared lock, which says that an export is
    running. BuildKit does not know this lock.
    """

    def __init__(self, layout: Layout, *, timeout: float = lock.TIMEOUT) -> None:
        self._layout = layout
        self._timeout = timeout
        self._guard = threading.Lock()
        self._session: ExportSession | None = None

    def missing(self, descs: Iterable[Descriptor], /) -> set[Digest]:
        """See Ingester. A blob of another size is missing, so that it is replaced."""
        wanted = list(descs)
        check_target(self._layout)
        with translated("read", self._layout.blobs):
            if not self._layout.blobs.is_dir():
                return {desc.digest for desc in wanted}
        # No reset may delete these blobs before something names them.
        self.begin()
        return {desc.digest for desc in wanted if not self._layout.holds(desc)}

    def ingest(self, desc: Descriptor, reader: Reader, /) -> None:
        """See Ingester. Only `sync` makes sure that the blob outlives a loss of power."""
        self.begin()
        with staged(self._layout, 0o444) as file:
            for block in iter(lambda: reader.read(BLOCK), b""):
                file.write(block)
            _commit(self._layout, file, desc)

    def stage(self) -> LayoutStaged:
        """See Stager. Do not call `close` before the staged file is committed or closed."""
        self.begin()
        return LayoutStaged(self._layout)

    def begin(self) -> ExportSession:
        """Begin the export unless it has begun: make the layout, take the lock, clean up.

        Raises FailedPrecondition when the directory is no layout and not empty, Conflict when
        another process holds the lock for a reset until the timeout.
        """
        with self._guard:
            if self._session is None:
                self._session = self._begin()
            return self._session

    def sync(self) -> None:
        """Wait until all blobs, of any writer, are found on the disk after a loss of power."""
        blobs = self._layout.blobs
        with translated("read", blobs):
            folders = [path for path in blobs.iterdir() if path.is_dir()]
        for path in (*folders, blobs, self._layout.directory):
            sync_directory(path)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Say whether no other export is running. If so, none can begin before the block ends.

        This export ends with the block.
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

    def _begin(self) -> ExportSession:
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
        return ExportSession(taken, started)


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


STALE_AFTER = 24 * 3600 * 10**9
"""Nanoseconds without a write after which no process uses a temporary file."""


def staged(layout: Layout, mode: int) -> AbstractContextManager[StagedFile]:
    """Make a temporary file, which is removed after the block unless it was committed."""
    return staged_in(layout.private, mode, layout.directory)


def file_system_time(layout: Layout) -> int:
    """Give the time by the file system's clock, in nanoseconds since 1970.

    It is for comparing with the times of files: a network file system has its server's clock.
    """
    with staged(layout, 0o600) as file:
        return os.fstat(file.fd).st_mtime_ns


def remove_all_staged(layout: Layout) -> None:
    """Remove all temporary files if no export is running, which could need one."""
    with suppress(OSError, Conflict):
        if not layout.exports_lock.exists():
            return
        alone = lock.acquire(layout.exports_lock, timeout=0)
        try:
            _remove(layout, lambda entry: True)
        finally:
            alone.close()


def remove_stale(layout: Layout, now: int) -> None:
    """Remove, as far as possible, the temporary files that were left behind a day ago."""
    with suppress(OSError):
        _remove(layout, lambda entry: now - entry.stat().st_mtime_ns > STALE_AFTER)


def _remove(layout: Layout, condition: Callable[[os.DirEntry[str]], bool]) -> None:
    with os.scandir(layout.private) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.name.endswith(SUFFIX) and condition(entry):
                    os.unlink(entry)
