"""Keeping a process small whose many threads move blocks."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_M_ARENA_MAX = -8
"""See mallopt(3)."""


def keep_small() -> None:
    """Let threads share what they free, where the C library has a way to say so (glibc).

    By default each keeps what it freed for itself, MiBs of blocks; where one thread runs Python at
    a time two stocks are enough.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)
