"""What all ways of showing progress have in common."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Self

from cachexport.cli.console import say
from cachexport.cli.progress.steps import Step, Tracker, Vertex

if TYPE_CHECKING:
    from types import TracebackType

    from cachexport.content.progress import Event

Clock = Callable[[], int]
"""Tells the time in nanoseconds since 1970."""

SECOND = 1_000_000_000


class Renderer:
    """Hears of events, from any thread, and shows nothing: that is `--progress quiet`.

    Others show a vertex or a step when it begins, ends, and every `interval` nanoseconds while
    it moves. A stream that cannot be written to is not a reason to fail a transfer.
    """

    interval: ClassVar[int] = 0

    def __init__(self, now: Clock) -> None:
        self._now = now
        self._tracker = Tracker()
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Take in one event."""
        with self._lock, suppress(OSError):
            at = self._now()
            for change in self._tracker.hear(event, at):
                self._change(change, at)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock, suppress(OSError):
            reason = "" if error is None else str(error) or type(error).__name__
            for vertex in self._tracker.close(self._now(), reason):
                self.show_vertex(vertex)

    def log(self, kind: str, message: str) -> None:
        """Show a line that the library logged."""
        say(kind, message)

    def show_vertex(self, vertex: Vertex) -> None:
        """Show that a vertex began or ended."""

    def show_step(self, step: Step, at: int) -> None:
        """Show that a step began, moved or ended."""

    def _change(self, change: Vertex | Step, at: int) -> None:
        if isinstance(change, Vertex):
            self.show_vertex(change)
        elif change.completed or not change.shown or at - change.shown >= self.interval:
            change.shown = at
            self.show_step(change, at)
