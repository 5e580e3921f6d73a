"""Files that appear whole or not at all: written aside, then renamed to where they belong."""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.files.errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIX = ".tmp"


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A file that is invisible until `commit`. Its errors name `directory`."""

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
def staged(folder: Path, mode: int, directory: Path) -> Iterator[StagedFile]:
    """Make a temporary file in `folder`; after the block it is gone, unless it was committed."""
    path = folder / (secrets.token_hex(16) + SUFFIX)
    with translated("write", directory):
        os.makedirs(folder, 0o755, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        yield StagedFile(fd, path, directory)
    finally:
        os.close(fd)
        with suppress(OSError):
            path.unlink()


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
