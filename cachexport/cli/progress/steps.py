"""Steps as BuildKit shows them: vertexes, and what happens in each.

Events come flat. Importing from a source, verifying one, exporting to a target and what is done
with an image are vertexes; any other step belongs to the vertex that began last and is still open.
Where there is none, one called "exporting cache" is opened for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    """Puts events in their places. One thread at a time."""

    def __init__(self) -> None:
        self._count = 0
        self._open: list[Vertex] = []
        self._steps: dict[str, Step] = {}

    def hear(self, event: Event, at: int) -> list[Vertex | Step]:
        """Take an event and give what began, changed or ended, in this order."""
        if event.step.startswith(_VERTEXES):
            return list(self._hear_vertex(event, at))
        opened: list[Vertex | Step] = [] if self._open else [self._begin(DEFAULT, at)]
        if event.state == "planned":
            self._open[-1].planned += 1
            return opened
        return [*opened, self._hear_step(event, at)]

    def close(self, at: int, error: str = "") -> list[Vertex]:
        """End whatever is still open, and give it."""
        return [self._end(vertex, at, error) for vertex in reversed(self._open.copy())]

    def _hear_vertex(self, event: Event, at: int) -> list[Vertex]:
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

    def _hear_step(self, event: Event, at: int) -> Step:
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
