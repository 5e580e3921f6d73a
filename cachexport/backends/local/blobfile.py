"""Reading a stretch of an open file, by position."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cachexport.backends.local.errors import translated

if TYPE_CHECKING:
    from pathlib import Path


class BlobReader:
    """A stream over `size` bytes of the file `fd`, from `start` on.

    It owns `fd` and never moves its position, so that several can share one open file. `path`
    is for messages.
    """

    def __init__(self, fd: int, path: Path, *, start: int = 0, size: int) -> None:
        self._fd = fd
        self._path = path
        self._at = start
        self._end = start + size

    def read(self, size: int, /) -> bytes:
        """Give the next bytes, `size` at most; none at the end. Raises BackendError."""
        with translated("read", self._path):
            block = os.pread(self._fd, min(size, self._end - self._at), self._at)
        self._at += len(block)
        return block

    def close(self) -> None:
        """Close the file; twice is fine."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
