"""Files of this machine. fsspec says where; the rest is Python's own, so that all is atomic."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cachexport_fsspec.files import Files

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK = ".lock"


class Local(Files):
    """See Files. Any number of processes share a folder, on one machine or on a shared disk."""

    swaps = True
    sweeps = True

    def info(self, path: str) -> dict[str, Any]:
        """See Files."""
        return _info(path, os.stat(path))

    def walk(self, folder: str) -> Iterator[dict[str, Any]]:
        """See Files."""
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            if os.path.islink(folder):
                raise  # a disk that is not mounted, say, and not a folder in which nothing is
            return
        for entry in entries:
            if entry.is_dir():
                yield from self.walk(entry.path)
                continue
            try:
                yield _info(entry.path, entry.stat())
            except FileNotFoundError:  # it was removed just now, or leads nowhere
                if entry.is_symlink() and os.path.lexists(entry.path):
                    raise

    def load(self, path: str) -> bytes:
        """See Files."""
        with open(path, "rb") as file:
            return file.read()

    def open(self, path: str, start: int) -> Any:
        """See Files."""
        file = open(path, "rb", buffering=0)  # noqa: SIM115 - the caller closes
        file.seek(start)
        return file

    def create(self, path: str) -> Any:
        """See Files."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return open(path, "xb")

    def finish(self, file: Any) -> None:
        """See Files. It is on the disk before anybody sees it."""
        file.flush()
        os.fsync(file.fileno())
        file.close()

    def rename(self, path: str, new: str) -> None:
        """See Files."""
        os.replace(path, new)

    def remove(self, path: str) -> None:
        """See Files."""
        os.unlink(path)

    def touch(self, path: str) -> None:
        """See Files."""
        os.utime(path)

    @contextmanager
    def alone(self, folder: str) -> Iterator[None]:
        """See Files. The kernel gives the lock up when its process ends; the empty file stays."""
        os.makedirs(folder, exist_ok=True)
        fd = os.open(os.path.join(folder, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)  # a process that was forked meanwhile has it open too
            os.close(fd)


def _info(path: str, found: os.stat_result) -> dict[str, Any]:
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError(path)
    return {"name": path, "size": found.st_size, "mtime": found.st_mtime_ns / 1e9}
