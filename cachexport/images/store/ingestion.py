"""The file of one ingestion, and how it becomes content."""

from __future__ import annotations

import os
import secrets
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cachexport.content.files import lock
from cachexport.content.files.errors import translated
from cachexport.content.files.staged import StagedFile, sync_directory
from cachexport.content.protocols import Info
from cachexport.content.verify import BLOCK
from cachexport.contract.reading import METADATA_LIMIT
from cachexport.errors import Conflict, Integrity, Unavailable
from cachexport.images.store.held import hold, is_there
from cachexport.images.store.labels import check_labels, put_labels, references

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from cachexport.content.files.lock import FileLock
    from cachexport.images.store.database import Database
    from cachexport.images.store.paths import Paths
    from cachexport.oci.digest import Digest

_ADD = """
INSERT INTO content VALUES (?, ?, ?) ON CONFLICT (digest) DO UPDATE SET size = excluded.size
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Where content is put, when, and which lease holds it then; none for an empty id."""

    paths: Paths
    database: Database
    clock: Callable[[], float]
    lease: str = ""


class Ingestion:
    """A file that grows, which one process at a time has; killed, it lets go of it.

    It is nobody's content before `publish`. The caller closes. Raises Unavailable when another
    one has it, `timeout` seconds long: a collection looks at every file for an instant.
    """

    def __init__(self, context: Context, path: Path, ref: str, *, timeout: float) -> None:
        self._context = context
        self._lock = _locked(path, ref, timeout)
        self._file = StagedFile(self._lock.fd, path, context.paths.directory)

    @property
    def size(self) -> int:
        """The bytes that are written."""
        with self._translated():
            return os.fstat(self._lock.fd).st_size

    def write(self, block: bytes) -> None:
        """Add all of `block` at the end; when it fails, none of it."""
        before = self.size
        try:
            with self._translated():
                os.lseek(self._lock.fd, before, os.SEEK_SET)
            self._file.write(block)
        except BaseException:
            with suppress(OSError):
                os.ftruncate(self._lock.fd, before)
            raise

    def blocks(self) -> Iterator[bytes]:
        """Give what was written."""
        at = 0
        while block := self._read(at):
            at += len(block)
            yield block

    def clear(self) -> None:
        """Drop what was written."""
        with self._translated():
            os.ftruncate(self._lock.fd, 0)

    def publish(
        self,
        digest: Digest,
        labels: Mapping[str, str],
        *,
        has_references: bool,
        ref: str | None = None,
    ) -> Info:
        """Make it the content of `digest`, with these labels, in place of what is there.

        With `has_references` it is a manifest, and gets the labels for what it refers to. The
        ingestion `ref` is over then. Raises WireFormat for a manifest that is none,
        FailedPrecondition for a lease that lives no more; nothing has changed then.
        """
        check_labels(labels)
        context, size = self._context, self.size
        manifest = self._manifest() if has_references else None
        self._file.seal()
        with context.database.writing() as index:
            made = {} if manifest is None else references(manifest, partial(is_there, index))
            index.execute(_ADD, (digest, size, context.clock()))
            put_labels(index, "content", digest, made | dict(labels))
            if context.lease:
                hold(index, context.lease, digest, context.clock())
            index.execute("DELETE FROM ingests WHERE ref = ?", (ref,))
            self._move(context.paths.blob(digest))
        return Info(digest, size)

    def remove(self) -> None:
        """Remove the file, as long as it is not content yet."""
        if self._lock.is_current():
            with self._translated():
                self._file.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file, which stays."""
        self._lock.close()

    def _move(self, target: Path) -> None:
        """Put the file where it belongs, for good: the index says so right after this."""
        with self._translated():
            os.makedirs(target.parent, 0o755, exist_ok=True)
        self._file.commit(target)
        with self._translated():
            # Not before: a file that cannot be opened for writing could not be gone on with.
            os.fchmod(self._lock.fd, 0o444)
        for folder in (target.parent, target.parent.parent):
            sync_directory(folder)

    def _manifest(self) -> bytes:
        if self.size > METADATA_LIMIT:
            raise Integrity(f"a manifest of {self.size} bytes is too large")
        return b"".join(self.blocks())

    def _read(self, at: int) -> bytes:
        with translated("read", self._file.path):
            return os.pread(self._lock.fd, BLOCK, at)

    def _translated(self) -> AbstractContextManager[None]:
        return translated("write", self._context.paths.directory)


@contextmanager
def nameless(context: Context) -> Iterator[Ingestion]:
    """Have an ingestion that nobody can resume; after the block it is gone, or content.

    What a kill leaves of it is garbage at once.
    """
    name = secrets.token_hex(32)
    path = context.paths.ingests / name
    with closing(Ingestion(context, path, name, timeout=lock.TIMEOUT)) as file:
        try:
            yield file
        finally:
            file.remove()


def _locked(path: Path, ref: str, timeout: float) -> FileLock:
    try:
        with translated("lock", path):
            return lock.acquire(path, timeout=timeout)
    except Conflict as error:
        raise Unavailable(f"ingest {ref!r} is being written by another writer") from error
