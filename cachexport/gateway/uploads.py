"""Uploads under way: blobs that come in parts, often before their digest is known."""

from __future__ import annotations

import hashlib
import math
import os
import secrets
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, cast

from cachexport.content.clock import clock
from cachexport.content.files.errors import translated
from cachexport.content.protocols import Stager
from cachexport.content.verify import VerifyingReader
from cachexport.errors import FailedPrecondition, Integrity
from cachexport.gateway.http.refusal import Refusal, later
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cachexport.content.protocols import Ingester, Reader, Staged
    from cachexport.gateway.shelf.origins import HostingPlace


def _at_once(most: int) -> Callable[[], threading.BoundedSemaphore]:
    return lambda: threading.BoundedSemaphore(most)


@dataclass(frozen=True, slots=True)
class Spool:
    """A folder that holds at most `most` bytes.

    Its files have no name, so nothing is left of them when the process is killed. A place may hold
    some MiB in memory of each blob that it writes, so only a few are written at a time. A blob that
    finds no free slot is spooled first; from the spool it is written without waiting for clients.
    """

    folder: Path
    most: int
    direct: threading.BoundedSemaphore = field(default_factory=_at_once(3))
    """Slots for blobs that go from a client right to a place."""
    from_here: threading.BoundedSemaphore = field(default_factory=_at_once(5))
    """Slots for blobs that go from the spool to a place."""
    _used: list[int] = field(default_factory=lambda: [0])
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def open(self) -> BinaryIO:
        """Make a file that vanishes when it is closed."""
        self.check()
        with translated("write", self.folder):
            return cast("BinaryIO", tempfile.TemporaryFile(dir=self.folder, buffering=0))

    def check(self) -> None:
        """Make the folder. Raises FailedPrecondition when it is not this user's own."""
        with translated("write", self.folder):
            self.folder.mkdir(0o700, parents=True, exist_ok=True)
            if self.folder.stat().st_uid != os.geteuid():
                raise FailedPrecondition(
                    f"{self.folder} is another user's; choose a folder for blobs with --spool"
                )

    def take(self, size: int) -> None:
        """Reserve bytes before they are written; a negative size frees some. Raises Refusal."""
        with self._guard:
            if size > 0 and self._used[0] + size > self.most:
                message = f"the spool {self.folder} has its {self.most:,} bytes"
                raise later(503, "UNAVAILABLE", message)
            self._used[0] += size


class Spooled:
    """A Staged in a spool; `commit` sends the whole blob to the ingester.

    The blob was hashed while it came, and its file has no name under which another process could
    change it. So only its length is checked when it is read again.
    """

    def __init__(self, spool: Spool, ingester: Ingester) -> None:
        self._spool = spool
        self._ingester = ingester
        self._file = spool.open()
        self._size = 0

    def write(self, block: bytes, /) -> None:
        """See Staged. Raises Refusal when the spool is full, or too small for the blob."""
        if self._size + len(block) > self._spool.most:
            most = self._spool.most
            message = f"no blob has more than the {most:,} bytes of the spool (--spool-bytes)"
            raise Refusal(413, "SIZE_INVALID", message)
        self._spool.take(len(block))
        self._size += len(block)
        view = memoryview(block)
        with translated("write", self._spool.folder):
            while view:
                view = view[self._file.write(view) :]

    def commit(self, desc: Descriptor, /) -> None:
        """See Staged."""
        self._file.seek(0)
        with self._spool.from_here:
            self._ingester.ingest(desc, _Whole(self._file, desc))

    def close(self) -> None:
        """See Staged."""
        self._file.close()
        size, self._size = self._size, 0
        self._spool.take(-size)


@dataclass(slots=True)
class _Whole:
    """A Reader of a spooled blob, which checks that no byte was lost.

    `close` leaves the file open: committing may be tried again.
    """

    file: BinaryIO
    desc: Descriptor
    _left: int = field(init=False)

    def __post_init__(self) -> None:
        self._left = self.desc.size

    def read(self, size: int, /) -> bytes:
        """See Reader. Raises Integrity when the file is shorter than what was written."""
        block = self.file.read(size)
        self._left -= len(block)
        if self._left and size and not block:
            raise Integrity(f"blob {self.desc.digest} lost {self._left} bytes in the spool")
        return block

    def close(self) -> None:
        """See Reader."""


_OCTETS = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Direct:
    """Takes a blob right into a place, without the spool."""

    ingester: Ingester
    desc: Descriptor

    def ingest(self, reader: Reader) -> None:
        """Store what the reader gives. Raises Integrity when that has another digest or size."""
        self.ingester.ingest(self.desc, VerifyingReader(reader, self.desc))


class Upload:
    """A blob on its way into a place. Only one thread may use it at a time."""

    def __init__(self, repository: str, place: HostingPlace, spool: Spool) -> None:
        self.id = secrets.token_urlsafe(24)
        self.repository = repository
        self.offset = 0
        """Bytes that were received."""
        self.is_broken = False
        self._spool = spool
        self._stack = ExitStack()
        self._ingester: Ingester = self._stack.enter_context(place.ingesting())
        self._staged: Staged | None = None
        self._hasher = hashlib.sha256()

    def write(self, block: bytes) -> None:
        """Append a block. When that fails, the upload is broken and can only be ended."""
        self.is_broken = True  # a failed write may have left a part of its block
        self._stage().write(block)
        self._hasher.update(block)
        self.offset += len(block)
        self.is_broken = False

    def commit(self, digest: Digest) -> None:
        """Store the received bytes under a digest. Raises Integrity when they have another."""
        found = Digest.from_hasher(self._hasher)
        if found != digest:
            raise Integrity(f"what came has the digest {found}, not {digest}")
        self._stage().commit(Descriptor(media_type=_OCTETS, digest=digest, size=self.offset))

    @contextmanager
    def direct(self, digest: Digest, size: int | None) -> Iterator[Direct | None]:
        """Give the direct way into the place for a blob of which nothing was received yet.

        None for a blob that comes in parts or has no known size, and when no slot is free.
        """
        can = self._staged is None and not isinstance(self._ingester, Stager)
        if size is None or not can or not self._spool.direct.acquire(blocking=False):
            yield None
            return
        try:
            desc = Descriptor(media_type=_OCTETS, digest=digest, size=size)
            yield Direct(self._ingester, desc)
        finally:
            self._spool.direct.release()

    def close(self) -> None:
        """Drop what was received; twice is fine."""
        self._stack.close()

    def _stage(self) -> Staged:
        if self._staged is None:
            ingester = self._ingester
            if isinstance(ingester, Stager):
                self._staged = ingester.stage()
            else:
                self._staged = Spooled(self._spool, ingester)
            self._stack.callback(self._staged.close)
        return self._staged


class Uploads:
    """All uploads of a gateway, `most` at a time. Threads may share it."""

    def __init__(
        self,
        spool: Spool,
        *,
        most: int,
        expiry: float,
    ) -> None:
        self._spool = spool
        self._most = most
        self._expiry = expiry
        self._clock = clock()
        self._guard = threading.Lock()
        self._idle: dict[str, tuple[Upload, float]] = {}
        self._busy: set[str] = set()
        self._begun = 0
        self.is_draining = False

    def __len__(self) -> int:
        with self._guard:
            return self._begun

    def begin(self, repository: str, place: HostingPlace) -> Upload:
        """Begin an upload, in use until `release`. Raises Refusal when too many are under way."""
        with self._guard:
            if self.is_draining:
                raise later(503, "UNAVAILABLE", "this gateway is about to stop")
            if self._begun >= self._most:
                message = f"{self._most} uploads are under way; try again"
                raise later(429, "TOOMANYREQUESTS", message)
            self._begun += 1
        try:
            upload = Upload(repository, place, self._spool)
        except BaseException:
            with self._guard:
                self._begun -= 1
            raise
        with self._guard:
            self._busy.add(upload.id)
        return upload

    @contextmanager
    def using(self, number: str, repository: str) -> Iterator[Upload]:
        """Reserve an upload for the block, and release it after that.

        Raises Refusal when there is none of this number, or when another request uses it.
        """
        upload = self._take(number, repository)
        try:
            yield upload
        finally:
            self.release(upload)

    def release(self, upload: Upload) -> None:
        """Let an upload wait for its next request until it expires; a broken one ends now."""
        if upload.is_broken:
            self.end(upload)
        with self._guard:
            if upload.id in self._busy:
                self._busy.remove(upload.id)
                self._idle[upload.id] = upload, self._clock.monotonic() + self._expiry

    def end(self, upload: Upload) -> None:
        """Drop an upload, finished or not; twice is fine."""
        with self._guard:
            was_there = upload.id in self._busy or upload.id in self._idle
            self._busy.discard(upload.id)
            self._idle.pop(upload.id, None)
            self._begun -= was_there
        upload.close()

    def drain(self, rest: float) -> None:
        """Refuse new uploads; the others expire after `rest` seconds without a request."""
        with self._guard:
            self.is_draining = True
            self._expiry = min(self._expiry, rest)
            latest = self._clock.monotonic() + self._expiry
            for number, (upload, until) in self._idle.items():
                self._idle[number] = upload, min(until, latest)

    def expire(self) -> int:
        """End the uploads that waited too long, and give their number."""
        return self._end_waiting(self._clock.monotonic())

    def close(self) -> None:
        """End all uploads that no request uses."""
        self._end_waiting(math.inf)

    def _end_waiting(self, now: float) -> int:
        with self._guard:
            late = [upload for upload, until in self._idle.values() if until <= now]
            for upload in late:
                del self._idle[upload.id]
            self._begun -= len(late)
        for upload in late:
            upload.close()
        return len(late)

    def _take(self, number: str, repository: str) -> Upload:
        with self._guard:
            if number in self._busy:
                message = "this upload is being written to; wait until that has ended"
                raise Refusal(409, "BLOB_UPLOAD_INVALID", message)
            upload, _ = self._idle.get(number, (None, 0.0))
            if upload is None or upload.repository != repository:
                raise Refusal(404, "BLOB_UPLOAD_UNKNOWN", "there is no such upload; begin anew")
            del self._idle[number]
            self._busy.add(number)
            return upload
