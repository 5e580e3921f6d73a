"""Progress on a terminal: a line for each vertex and a bar for each step under way."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID
from rich.table import Column
from rich.text import Text

from cachexport.cli.console import printable
from cachexport.cli.progress.renderer import SECOND, Renderer
from cachexport.contract.units import readable

if TYPE_CHECKING:
    from types import TracebackType

    from cachexport.cli.progress.renderer import Clock, Step, Vertex

MAX_ROWS = 8
"""Steps that have a bar at the same time; the others wait for theirs."""

_DIGEST = re.compile(r"(\bsha\d+:[0-9a-f]{12})[0-9a-f]+")


class TtyRenderer(Renderer):
    """Draws at the bottom of the terminal; what is done collapses into its vertex's line."""

    interval = SECOND // 20

    def __init__(self, now: Clock, console: Console | None = None) -> None:
        super().__init__(now)
        self._progress = _progress(now, console or Console(stderr=True))
        self._vertexes: dict[int, TaskID] = {}
        self._rows: dict[str, TaskID] = {}
        self._waiting: dict[str, Step] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            self._progress.stop()

    def show_vertex(self, vertex: Vertex) -> None:
        """See Renderer."""
        if vertex.completed is None:
            self._vertexes[vertex.number] = self._progress.add_task(_name(vertex), total=None)
            return
        self._progress.remove_task(self._vertexes.pop(vertex.number))
        self._progress.print(_summary(vertex))

    def show_step(self, step: Step, at: int) -> None:
        """See Renderer."""
        if step.completed is not None:
            self._drop(step)
        elif step.name in self._rows:
            self._progress.update(self._rows[step.name], completed=step.current)
        else:
            self._waiting[step.name] = step
        self._fill()
        self._count(step.vertex)

    def _drop(self, step: Step) -> None:
        self._waiting.pop(step.name, None)
        row = self._rows.pop(step.name, None)
        if row is not None:
            self._progress.remove_task(row)
        if step.error:
            self._progress.print(Text(f"{_short(step.name)}: {printable(step.error)}", "red"))

    def _fill(self) -> None:
        while self._waiting and len(self._rows) < MAX_ROWS:
            step = self._waiting.pop(next(iter(self._waiting)))
            self._rows[step.name] = self._progress.add_task(
                f"  {_short(step.name)}", total=step.total or None, completed=step.current
            )

    def _count(self, vertex: Vertex) -> None:
        running = len(self._rows) + len(self._waiting)
        planned = max(vertex.planned, vertex.steps + running)
        about = f", {running} running" if self._waiting else ""
        self._progress.update(
            self._vertexes[vertex.number],
            completed=vertex.steps,
            total=vertex.planned and planned,
            about=f"{vertex.steps} of {planned}{about}, {readable(vertex.moved)}",
        )


class _Amount(ProgressColumn):
    """Bytes so far, and of how many; for a vertex also the number of its steps."""

    def render(self, task: Task) -> Text:
        return Text(task.fields.get("about") or _amount(task), "green", no_wrap=True)


class _Speed(ProgressColumn):
    """Bytes a second, lately."""

    def render(self, task: Task) -> Text:
        moving = task.speed and "about" not in task.fields
        return Text(f"{readable(int(task.speed or 0))}/s" if moving else "", "cyan", no_wrap=True)


class _Description(ProgressColumn):
    """The step, cut where the line is too short."""

    def render(self, task: Task) -> Text:
        return Text(task.description, no_wrap=True, overflow="ellipsis")


class _Progress(Progress):
    """Draws ten times a second and not whenever a row comes: rows may come by the hundred."""

    def refresh(self) -> None:
        """Leave it to the thread that draws."""


def _progress(now: Clock, console: Console) -> _Progress:
    return _Progress(
        SpinnerColumn("line"),
        _Description(table_column=Column(ratio=3, no_wrap=True, overflow="ellipsis")),
        BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=8)),
        _Amount(table_column=Column(justify="right", no_wrap=True)),
        _Speed(table_column=Column(justify="right", no_wrap=True)),
        console=console,
        get_time=lambda: now() / SECOND,
        transient=True,
        redirect_stdout=False,  # stdout is for the answer
        expand=True,
    )


def _amount(task: Task) -> str:
    total = f" / {readable(int(task.total))}" if task.total else ""
    return readable(int(task.completed)) + total if task.completed else ""


def _summary(vertex: Vertex) -> Text:
    seconds = ((vertex.completed or vertex.started) - vertex.started) / SECOND
    if vertex.error:
        return Text(f"{_name(vertex)}: failed after {seconds:.1f}s", "red")
    facts = [f"{seconds:.1f}s"]
    if vertex.steps:
        facts = [f"{vertex.steps} steps", f"{readable(vertex.moved)} written", *facts]
    return Text(f"{_name(vertex)}: {', '.join(facts)}", "bold")


def _name(vertex: Vertex) -> str:
    return _short(vertex.name)


def _short(name: str) -> str:
    return _DIGEST.sub(r"\1", printable(name))
