"""Files of blobs: where they lie in folders by digest, and reading a stretch of one by position."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from cachexport.content.files.errors import translated
from cachexport.errors import FailedPrecondition, InvalidDigest, NotFound, WireFormat
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def listed_digests(blobs: Path) -> Iterator[Digest]:
    """Give the digests of the blobs in a folder. Files with other names are left out."""
    for folder in listed(blobs):
        for name in listed(blobs / folder):
            try:
                yield Digest.parse(f"{folder}:{name}")
            except InvalidDigest:
                continue


def listed(folder: Path) -> list[str]:
    """Give the names in a folder, sorted; none if the folder does not exist."""
    try:
        with translated("read", folder):
            return sorted(os.listdir(folder))
    except (NotFound, FailedPrecondition):
        return []


def open_regular(path: Path) -> tuple[int, int]:
    """Open a file for reading and give its descriptor, which the caller closes, and its size.

    Raises NotFound, FailedPrecondition for what is no regular file (a fifo would be waited for
    without end), BackendError.
    """
    with translated("read", path):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise FailedPrecondition(f"{path} is not a regular file")
    return fd, status.st_size


def read_regular(path: Path, limit: int) -> bytes:
    """Read a small file. Raises as `open_regular`, and WireFormat over `limit` bytes."""
    fd, size = open_regular(path)
    with translated("read", path), os.fdopen(fd, "rb") as file:
        if size > limit:
            raise WireFormat(f"{path} is too large ({size} bytes)")
        return file.read(limit)


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
