"""Lines on stderr, written by a thread: a slow or absent reader must not stop the gateway.

Only `serve` needs them, so that no other verb imports what they need.
"""

from __future__ import annotations

import queue
import threading
from contextlib import suppress

import click

MOST = 10_000
"""How many lines may wait."""
_ENDING = 1.0
"""Seconds that `close` waits for the thread."""


class Lines:
    """Writes lines in a thread of its own. Lines for which there is no room are counted."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[str | None] = queue.Queue(MOST)
        self._lost = 0
        self._thread = threading.Thread(target=self._write_all, daemon=True)
        self._thread.start()

    def add(self, line: str) -> None:
        """Write a line soon."""
        try:
            self._waiting.put_nowait(line)
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        """Write the lines that wait, within a second."""
        with suppress(queue.Full):
            self._waiting.put_nowait(None)
        self._thread.join(_ENDING)

    @property
    def are_stuck(self) -> bool:
        """Whether the thread still tries to write, after `close`."""
        return self._thread.is_alive()

    def _write_all(self) -> None:
        while (line := self._waiting.get()) is not None:
            with suppress(OSError):
                click.echo(line, err=True)
            if self._lost and self._waiting.empty():
                lost, self._lost = self._lost, 0
                with suppress(OSError):
                    click.echo(f"cachexport: {lost:,} lines are lost: nobody read them", err=True)
