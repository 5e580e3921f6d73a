"""Lines like those of BuildKit's plain output."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from cachexport.cli.console import printable
from cachexport.cli.progress.renderer import SECOND, Renderer
from cachexport.contract.units import (
    readable,
)

if TYPE_CHECKING:
    from cachexport.cli.progress.renderer import Clock
    from cachexport.cli.progress.steps import Step, Vertex


class PlainRenderer(Renderer):
    """Writes a line when something begins or ends, and every five seconds while a layer moves."""

    interval = 5 * SECOND

    def __init__(self, stream: TextIO, now: Clock) -> None:
        super().__init__(now)
        self._stream = stream

    def show_vertex(self, vertex: Vertex) -> None:
        """See Renderer."""
        if vertex.completed is None:
            gap = "\n" if vertex.number > 1 else ""
            self._write(f"{gap}#{vertex.number} {printable(vertex.name)}")
        elif vertex.error:
            self._write(f"#{vertex.number} ERROR: {printable(vertex.error)}")
        else:
            seconds = (vertex.completed - vertex.started) / SECOND
            self._write(f"#{vertex.number} DONE {seconds:.1f}s")

    def show_step(self, step: Step, at: int) -> None:
        """See Renderer."""
        self._write(f"#{step.vertex.number} {printable(step.name)}{_state(step, at)}")

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def _state(step: Step, at: int) -> str:
    seconds = (at - step.started) / SECOND
    # BuildKit names no time that would read 0.0s.
    time = f" {seconds:.1f}s" if seconds > 0.01 else ""
    if step.error:
        return f"{time} ERROR: {printable(step.error)}"
    if step.completed is not None:
        return f"{time} done"
    moved = f" {readable(step.current)} / {readable(step.total)}" if step.current else ""
    return f"{moved}{time}"
