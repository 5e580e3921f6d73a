"""Files that appear whole or not at all: written aside, then renamed to where they belong."""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.backends.local import lock
from cachexport.backends.local.errors import translated
from cachexport.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cachexport.backends.local.layout import Layout

_SUFFIX = ".tmp"
STALE_AFTER = 24 * 3600 * 10**9
"""Nanoseconds without a write after which a temporary file belongs to nobody any more."""


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A file that nobody sees until `commit`. Every error of it names the layout's directory."""

    fd: int
    path: Path
    directory: Path

    def write(self, block: bytes) -> None:
        """Add all of `block` at the end."""
        view = memoryview(block)
        with translated("write", self.directory):
            while view:
                view = view[os.write(self.fd, view) :]

    def seal(self) -> None:
        """Wait until the content has reached the disk."""
        with translated("write", self.directory):
            os.fsync(self.fd)

    def commit(self, target: Path) -> None:
        """Put the file at `target`, at once and in place of what is there."""
        with translated("write", self.directory):
            os.replace(self.path, target)


@contextmanager
def staged(layout: Layout, mode: int) -> Iterator[StagedFile]:
    """Make a temporary file; after the block it is gone, unless it was committed."""
    path = layout.private / (secrets.token_hex(16) + _SUFFIX)
    with translated("write", layout.directory):
        os.makedirs(layout.private, 0o755, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        yield StagedFile(fd, path, layout.directory)
    finally:
        os.close(fd)
        with suppress(OSError):
            path.unlink()


def file_system_time(layout: Layout) -> int:
    """Give the time of the file system's own clock, in nanoseconds since 1970.

    The times of files are compared with it: on a network it may not be this machine's clock.
    """
    with staged(layout, 0o600) as file:
        return os.fstat(file.fd).st_mtime_ns


def remove_all_staged(layout: Layout) -> None:
    """Remove all temporary files if no export is running that could need one."""
    with suppress(OSError, Conflict):
        if not layout.exports_lock.exists():
            return
        alone = lock.acquire(layout.exports_lock, patience=0)
        try:
            _remove(layout, lambda entry: True)
        finally:
            alone.close()


def remove_stale(layout: Layout, now: int) -> None:
    """Remove the temporary files that processes left behind a day ago, as far as possible."""
    with suppress(OSError):
        _remove(layout, lambda entry: now - entry.stat().st_mtime_ns > STALE_AFTER)


def _remove(layout: Layout, condition: Callable[[os.DirEntry[str]], bool]) -> None:
    with os.scandir(layout.private) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.name.endswith(_SUFFIX) and condition(entry):
                    os.unlink(entry)


def sync_directory(path: Path) -> None:
    """Wait until the names in the directory have reached the disk."""
    with translated("write", path):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        except OSError as error:
            # Some network file systems know no such thing: there names are safe at once.
            if error.errno != errno.EINVAL:
                raise
        finally:
            os.close(fd)
