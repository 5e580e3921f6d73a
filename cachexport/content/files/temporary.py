"""Temporary folders. If a process dies, the next that makes such a folder removes its folder."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.content.files.errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Give a folder that only this user sees, and remove it behind the block.

    Those with the same prefix go first whose process was killed: each is locked as long as its
    process lives. Raises a CachexportError when none can be made.
    """
    where = Path(tempfile.gettempdir())
    for left in where.glob(f"{prefix}*"):
        _remove_dead(left)
    folder, lock = _make(prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _make(prefix: str) -> tuple[Path, int]:
    while True:
        with translated("write", tempfile.gettempdir()):
            folder = Path(tempfile.mkdtemp(prefix=prefix))
            # It may be taken for one of the dead before it is locked, and is removed then.
            with suppress(BlockingIOError, FileNotFoundError):
                return folder, _lock(folder)


def _remove_dead(folder: Path) -> None:
    with suppress(OSError):
        lock = _lock(folder)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _lock(folder: Path) -> int:
    """Lock a folder of this user's. Raises OSError, also when it is locked or gone."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "it is somebody else's")
        if not os.path.samestat(os.fstat(fd), folder.stat()):
            raise FileNotFoundError(errno.ENOENT, "it was made anew")
    except OSError:
        os.close(fd)
        raise
    return fd
