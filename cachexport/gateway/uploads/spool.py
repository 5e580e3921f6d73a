"""Content whose digest is not known yet, on its way to a place that has to know it."""

from __future__ import annotations

import os
import tempfile
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, cast

from cachexport.content.files.errors import translated
from cachexport.errors import FailedPrecondition, Integrity
from cachexport.gateway.http.refusal import Refusal, later

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cachexport.content.protocols import Ingester
    from cachexport.oci.descriptor import Descriptor


def _at_once(most: int) -> Callable[[], threading.BoundedSemaphore]:
    return lambda: threading.BoundedSemaphore(most)


@dataclass(frozen=True, slots=True)
class Spool:
    """A folder in which `most` bytes lie at a time.

    Its files have no name, so nothing is left of them when the process is killed. A place may hold
    some MiB of each blob that it writes in memory, so few are written at a time: what cannot go
    there at once is spooled first, and what is spooled does not wait for slow clients.
    """

    folder: Path
    most: int
    direct: threading.BoundedSemaphore = field(default_factory=_at_once(3))
    """Held by what goes from a client right to a place."""
    from_here: threading.BoundedSemaphore = field(default_factory=_at_once(5))
    """Held by what goes from the spool to a place."""
    _used: list[int] = field(default_factory=lambda: [0])
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def open(self) -> BinaryIO:
        """Make a file that is gone when it is closed."""
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
        """Count bytes that are about to be written, or given back if negative. Raises Refusal."""
        with self._guard:
            if size > 0 and self._used[0] + size > self.most:
                message = f"the spool {self.folder} has its {self.most:,} bytes"
                raise later(503, "UNAVAILABLE", message)
            self._used[0] += size


class Spooled:
    """A Staged in a spool. On `commit` it goes to the ingester as a whole.

    It was hashed while it came, and the file has no name under which another process could change
    it. So on its way out only its length is looked at.
    """

    def __init__(self, spool: Spool, ingester: Ingester) -> None:
        self._spool = spool
        self._ingester = ingester
        self._file = spool.open()
        self._size = 0

    def write(self, block: bytes, /) -> None:
        """See Staged. Raises Refusal where there is no room, or can never be."""
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
    """A Reader of a spooled blob, which must be as long as it was when it came.

    It leaves the file open: committing may be tried again.
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
