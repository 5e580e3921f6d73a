"""The names in a layout's index.json: read and changed, together with BuildKit's client."""

from __future__ import annotations

import errno
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.backends.local.ingest import staged
from cachexport.content.clock import clock
from cachexport.content.files import lock
from cachexport.content.files.blobs import read_regular
from cachexport.content.files.errors import translated
from cachexport.content.files.staged import StagedFile, sync_directory
from cachexport.errors import Conflict, NotFound, Outdated, WireFormat
from cachexport.oci.index import METADATA_LIMIT, Index, version

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachexport.backends.local.layout import Layout
    from cachexport.oci.descriptor import Descriptor

_log = logging.getLogger(__name__)

TORN_TIMEOUT = 1.0
"""Seconds for which an index.json that cannot be read may be one that is being written."""

# Errors after which there is no lock, as on a read-only disk: we read without, as BuildKit does.
_UNLOCKABLE = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}
)


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a layout. Threads, processes and BuildKit's client may use it at once.

    BuildKit gives up at once when the lock of the index is taken. So it is held only to put a
    new file in place, which is on the disk by then, and to read a file that others are using.
    `timeout` is how many seconds to wait for a lock, `torn_timeout` for an index that can be
    understood.
    """

    layout: Layout
    timeout: float = lock.TIMEOUT
    torn_timeout: float = TORN_TIMEOUT

    def list(self) -> tuple[str, ...]:
        """Give all names, in the order of the file."""
        return self.index().names()

    def resolve(self, name: str) -> Descriptor:
        """Find what is named, as BuildKit does. Raises NotFound, naming what there is."""
        index = self.index()
        found = index.find(name)
        if found is None:
            raise NotFound(f"there is no {name!r} in {self.layout.directory} ({index.known()})")
        return found

    def publish(self, tag: str, desc: Descriptor, *, replacing: str | None = None) -> None:
        """Give the tag to `desc` and take it from the entry that had it. Twice is fine.

        Raises Outdated unless the tag has the version `replacing` (see `index.version`) until
        then; None allows any.
        """

        def tagged(index: Index) -> Index:
            if replacing not in (None, version(index.named(tag))):
                raise Outdated(f"somebody else changed {tag!r} in {self.layout.directory}")
            return index.with_tag(tag, desc)

        index = self.change(tagged)
        found = index.find(tag)
        if found is None or found.digest != desc.digest:
            _log.warning("%s: an image hides the cache with the tag %s", self.layout.directory, tag)

    def withdraw(self, name: str) -> None:
        """Take the name away; the blobs stay. Raises NotFound when nothing is listed under it."""
        self._read()  # raises where there is no index, before one is made
        self.change(lambda index: index.without(name))

    def index(self) -> Index:
        """Read index.json, waiting while somebody writes it.

        Raises NotFound when there is none, WireFormat when it stays unreadable, Conflict when
        it stays locked.
        """
        return self._read_whole(self._read_unlocked)[1]

    def change(self, edit: Callable[[Index], Index]) -> Index:
        """Replace the index by the one that `edit` makes of it, and give that.

        `edit` may be called several times, each time with the latest index. Nothing changes when
        it raises an error or gives back an equal index. The file is replaced at once: at any
        moment it is the old one or the new one. Raises as `index` does, and Conflict when others
        change the index until the timeout.
        """
        with translated("write", self.layout.directory):
            os.makedirs(self.layout.private, 0o755, exist_ok=True)
        deadline = clock().monotonic() + self.timeout
        # Our own processes take turns by a lock file that nobody removes; BuildKit's lock comes
        # in `_replace`.
        with (
            translated("lock", self.layout.directory),
            lock.held(self.layout.private / "index.lock", timeout=self.timeout),
        ):
            while (index := self._try_change(edit)) is None:
                if clock().monotonic() >= deadline:
                    raise Conflict(f"{self.layout.index} is changed by others all the time")
        return index

    def _try_change(self, edit: Callable[[Index], Index]) -> Index | None:
        raw, before = self._read_whole(self._read_or_empty, _decode_or_new)
        after = edit(before)
        if after == before:
            return after
        with staged(self.layout, 0o644) as file:
            self._keep_owner(file)
            file.write(after.encode())
            file.seal()
            if not self._replace(file, raw):
                return None
        sync_directory(self.layout.directory)
        return after

    def _replace(self, file: StagedFile, raw: bytes) -> bool:
        """Put the file in place if the index still is `raw`. Says whether it was."""
        with lock.held_and_removed(self.layout.index_lock, timeout=self.timeout) as index_lock:
            # BuildKit removes the lock file after it has unlocked it, so it may remove the one
            # that we have locked since; then the lock protects nothing.
            if self._read_or_empty() != raw or not index_lock.is_current():
                return False
            file.commit(self.layout.index)
            return True

    def _keep_owner(self, file: StagedFile) -> None:
        # BuildKit writes into the existing file, so it needs its owner and mode.
        with suppress(OSError):
            status = self.layout.index.stat()
            os.fchmod(file.fd, status.st_mode & 0o777)
            os.fchown(file.fd, status.st_uid, status.st_gid)

    def _read_whole(
        self, read: Callable[[], bytes], decode: Callable[[bytes], Index] = Index.decode
    ) -> tuple[bytes, Index]:
        """Read until the index can be understood: BuildKit writes into the existing file."""
        deadline = clock().monotonic() + self.torn_timeout
        while True:
            raw = read()
            try:
                return raw, decode(raw)
            except WireFormat as error:
                if clock().monotonic() >= deadline:
                    problem = f"{self.layout.index}: {error.problem}"
                    raise WireFormat(problem, error.path) from error
            lock.pause()

    def _read_unlocked(self) -> bytes:
        """Read without the lock of the index, if nobody writes meanwhile; else with it.

        A reader with the lock makes BuildKit's exports fail, and has to write to the directory.
        """
        before = self._state()
        raw = self._read()
        if before is not None and before == self._state():
            return raw
        return self._read_locked()

    def _state(self) -> tuple[int, int, int] | None:
        """Give what changes with each write of the file; None while it may be locked."""
        with translated("read", self.layout.index):
            if self.layout.index_lock.exists():
                return None
            status = self.layout.index.stat()
            return status.st_ino, status.st_size, status.st_mtime_ns

    def _read_locked(self) -> bytes:
        try:
            with lock.held_and_removed(self.layout.index_lock, shared=True, timeout=self.timeout):
                return self._read()
        except OSError as error:
            if error.errno in _UNLOCKABLE:
                return self._read()
            with translated("lock", self.layout.index_lock):
                raise

    def _read_or_empty(self) -> bytes:
        try:
            return self._read()
        except NotFound:
            return b""

    def _read(self) -> bytes:
        return read_regular(self.layout.index, METADATA_LIMIT)


def _decode_or_new(raw: bytes) -> Index:
    # A loss of power can leave an empty file; BuildKit fills it too.
    return Index.decode(raw) if raw else Index()
