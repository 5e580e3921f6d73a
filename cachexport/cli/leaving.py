"""Ending a process whose threads wait for what does not answer."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End with this exit code now, where Python would wait for threads that wait in vain.

    All that has to be done at the end has to be done before.
    """
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(code)
