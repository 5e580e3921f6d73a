"""Locks on files, which work between processes and between the threads of one.

BuildKit's client locks `index.json.lock` with flock and removes the file afterwards. So after
getting a lock one has to check that the file is still the one at the path, or else start over.
"""

from __future__ import annotations

import fcntl
import os
import random
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.clock import clock
from cachexport.errors import Conflict, FailedPrecondition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMEOUT = 30.0
"""Seconds to wait for a lock."""


@dataclass(slots=True)
class FileLock:
    """A lock that is held until `close`."""

    path: Path
    fd: int

    def is_current(self) -> bool:
        """Whether the locked file is still the one at the path. If not, it excludes nobody."""
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(os.fstat(self.fd), there)

    def try_exclusive(self) -> bool:
        """Make a shared lock exclusive. Says whether it is; if not, the shared lock may be lost."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def remove(self) -> None:
        """Remove the file, unless another holder of a shared lock is left, who then does it."""
        # What was done under the lock is done: a file that stays is no reason to fail.
        with suppress(OSError):
            if self.try_exclusive() and self.is_current():
                self.path.unlink()

    def close(self) -> None:
        """Give the lock up."""
        os.close(self.fd)


def acquire(path: Path, *, shared: bool = False, timeout: float = TIMEOUT) -> FileLock:
    """Lock the file at `path`, which is made if need be, waiting `timeout` seconds at most.

    Raises Conflict when somebody else holds it all that time, OSError when it cannot be locked.
    """
    deadline = clock().monotonic() + timeout
    while (lock := _try_acquire(path, shared=shared)) is None:
        if clock().monotonic() >= deadline:
            raise Conflict(
                f"{path} is locked by {_holders(path)} for more than {timeout:g} s; "
                "wait until the build or export that uses it has ended, or end it"
            )
        pause()
    return lock


@contextmanager
def held(path: Path, *, timeout: float = TIMEOUT) -> Iterator[FileLock]:
    """Hold an exclusive lock in the block; the file stays. Raises as `acquire` does."""
    lock = acquire(path, timeout=timeout)
    try:
        yield lock
    finally:
        lock.close()


@contextmanager
def held_and_removed(
    path: Path, *, shared: bool = False, timeout: float = TIMEOUT
) -> Iterator[FileLock]:
    """Hold a lock in the block and remove its file afterwards, as BuildKit does."""
    lock = acquire(path, shared=shared, timeout=timeout)
    try:
        yield lock
    finally:
        lock.remove()
        lock.close()


def pause() -> None:
    """Sleep for a short random time, so that two waiting processes fall out of step."""
    clock().sleep(random.uniform(0.001, 0.01))  # noqa: S311 - nothing secret


def _try_acquire(path: Path, *, shared: bool) -> FileLock | None:
    """Lock the file, or give None when somebody else has it."""
    # NFS wants an exclusive lock on a file that is open for writing.
    flags = (os.O_RDONLY if shared else os.O_RDWR) | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    while True:
        lock = FileLock(path, os.open(path, flags, 0o644))
        try:
            if not stat.S_ISREG(os.fstat(lock.fd).st_mode):
                raise FailedPrecondition(f"{path} is not a regular file; remove it")
            fcntl.flock(lock.fd, kind | fcntl.LOCK_NB)
            if lock.is_current():
                return lock
        except BlockingIOError:
            lock.close()
            return None
        except BaseException:
            lock.close()
            raise
        # Its holder removed it between our open and our lock, and is done: try again at once.
        lock.close()


def _holders(path: Path) -> str:
    """Name the processes that Linux says hold the lock."""
    try:
        inode = f":{path.stat().st_ino}"
        with open("/proc/locks", encoding="ascii") as table:
            rows = [line.split() for line in table]
    except OSError:
        return "another process"
    pids = {row[4] for row in rows if row[1] == "FLOCK" and row[5].endswith(inode)}
    return f"process {', '.join(sorted(pids))}" if pids else "another process"
