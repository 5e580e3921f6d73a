"""Temporary files of a layout: where they are, and who removes what was left behind."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from cachexport.content.files import lock
from cachexport.content.files.staged import SUFFIX
from cachexport.content.files.staged import staged as staged_in
from cachexport.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from cachexport.backends.local.layout import Layout
    from cachexport.content.files.staged import StagedFile

STALE_AFTER = 24 * 3600 * 10**9
"""Nanoseconds without a write after which a temporary file belongs to nobody any more."""


def staged(layout: Layout, mode: int) -> AbstractContextManager[StagedFile]:
    """Make a temporary file; after the block it is gone, unless it was committed."""
    return staged_in(layout.private, mode, layout.directory)


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
        alone = lock.acquire(layout.exports_lock, timeout=0)
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
                if entry.name.endswith(SUFFIX) and condition(entry):
                    os.unlink(entry)
