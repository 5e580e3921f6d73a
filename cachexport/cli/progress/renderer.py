"""What all ways of showing progress share: steps as BuildKit shows them, each in its vertex.

Events come flat. Importing from a source, verifying one, exporting to a target and what is done
with an image are vertexes; any other step belongs to the vertex that began last and is still open.
Where there is none, one called "exporting cache" is opened for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from cachexport.cli.console import say

if TYPE_CHECKING:
    from types import TracebackType

    from cachexport.content.progress import Event

_VERTEXES = (
    "importing cache manifest from ",
    "verifying cache",
    "exporting cache",
    "pruning ",
    "repairing ",
    "loading images ",
    "pulling image ",
    "pushing image ",
    "extending image",
    "exporting image",
)
DEFAULT = "exporting cache"
SECOND = 1_000_000_000
Clock = Callable[[], int]
"""Tells the time in nanoseconds since 1970."""


@dataclass(slots=True, kw_only=True)
class Vertex:
    """A part of the whole job. Times are nanoseconds since 1970, sizes bytes."""

    number: int
    name: str
    started: int
    completed: int | None = None
    error: str = ""
    steps: int = 0
    """How many of its steps are done."""
    planned: int = 0
    """How many steps were said to come; those that nobody announces are not among them."""
    moved: int = 0
    """Bytes that its steps moved."""


@dataclass(slots=True, kw_only=True)
class Step:
    """One thing done in a vertex; `total` is 0 where no bytes are counted."""

    vertex: Vertex
    name: str
    started: int
    completed: int | None = None
    current: int = 0
    total: int = 0
    error: str = ""
    shown: int = 0
    """When a renderer last showed it."""


class Tracker:
    """Assigns events to vertexes and steps. Not for several threads at once."""

    def __init__(self) -> None:
        self._count = 0
        self._open: list[Vertex] = []
        self._steps: dict[str, Step] = {}

    def take(self, event: Event, at: int) -> list[Vertex | Step]:
        """Take an event and give what began, changed or ended, in this order."""
        if event.step.startswith(_VERTEXES):
            return list(self._take_vertex(event, at))
        opened: list[Vertex | Step] = [] if self._open else [self._begin(DEFAULT, at)]
        if event.state == "planned":
            self._open[-1].planned += 1
            return opened
        return [*opened, self._take_step(event, at)]

    def close(self, at: int, error: str = "") -> list[Vertex]:
        """End whatever is still open, and give it."""
        return [self._end(vertex, at, error) for vertex in reversed(self._open.copy())]

    def _take_vertex(self, event: Event, at: int) -> list[Vertex]:
        if event.state == "started":
            closed = self.close(at) if self._open and self._open[-1].name == DEFAULT else []
            return [*closed, self._begin(event.step, at)]
        found = [vertex for vertex in self._open if vertex.name == event.step]
        return [self._end(vertex, at, event.error) for vertex in found if event.state == "done"]

    def _begin(self, name: str, at: int) -> Vertex:
        self._count += 1
        vertex = Vertex(number=self._count, name=name, started=at)
        self._open.append(vertex)
        return vertex

    def _end(self, vertex: Vertex, at: int, error: str) -> Vertex:
        self._open.remove(vertex)
        vertex.completed = at
        vertex.error = error or vertex.error
        return vertex

    def _take_step(self, event: Event, at: int) -> Step:
        step = self._steps.get(event.step)
        if step is None:
            step = Step(vertex=self._open[-1], name=event.step, started=at, total=event.total)
            self._steps[event.step] = step
        step.vertex.moved += event.current - step.current
        step.current = event.current
        if event.state == "done":
            self._finish(step, event, at)
        return step

    def _finish(self, step: Step, event: Event, at: int) -> None:
        del self._steps[step.name]  # the next target may have a step of this name
        step.completed = at
        step.error = event.error
        step.vertex.steps += 1
        step.vertex.error = step.vertex.error or event.error


class Renderer:
    """Takes events, from any thread, and shows nothing: that is `--progress quiet`.

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
            for change in self._tracker.take(event, at):
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
