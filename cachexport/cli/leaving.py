"""Ending a process whose threads wait for what does not answer."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from cachexport.cli.lines import are_stuck
from cachexport.gateway.threads import working


def leave_if_stuck(code: int) -> None:
    """End with this exit code now if threads wait for a place, or for who reads the log.

    Python would wait for them. All that has to be done at the end has to be done before.
    """
    if working() or are_stuck():
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(code)
