"""Files in the memory of this process, which all that is in it share."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from threading import RLock
from typing import TYPE_CHECKING, Any

from cachexport_fsspec.files import Files

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_locks = {"names": RLock()}
# Somebody may hold it while the process is copied: in the copy nobody gives it up.
os.register_at_fork(after_in_child=lambda: _locks.update(names=RLock()))


class Memory(Files):
    """See Files."""

    swaps = True
    sweeps = True

    def modified(self, info: dict[str, Any]) -> float | None:
        """See Files. It describes files without that."""
        try:
            return float(self.fs.modified(info["name"]).timestamp())
        except FileNotFoundError:
            return None  # it was removed just now

    def open(self, path: str, start: int) -> Any:
        """See Files. What the file system opens is one for all who read it."""
        self.info(path)
        return _Pieces(self.fs, path, start)

    def touch(self, path: str) -> None:
        """See Files."""
        try:
            self.fs.store[path].modified = datetime.now(tz=UTC)
        except KeyError as error:
            raise FileNotFoundError(path) from error

    def alone(self, folder: str) -> AbstractContextManager[object]:
        """See Files."""
        return _locks["names"]


class _Pieces:
    def __init__(self, fs: Any, path: str, start: int) -> None:
        self._fs, self._path, self._at = fs, path, start

    def read(self, size: int) -> bytes:
        block: bytes = self._fs.cat_file(self._path, self._at, self._at + size)
        self._at += len(block)
        return block

    def close(self) -> None:
        """Hold nothing."""
