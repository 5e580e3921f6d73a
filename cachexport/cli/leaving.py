"""Ending a process whose threads wait for a place that does not answer."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from cachexport.gateway.threads import working


def leave_if_stuck(code: int) -> None:
    """End with this exit code now if threads of a gateway are left: Python would wait for them.

    All that has to be done at the end has to be done before.
    """
    if working():
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
