"""Progress as lines of a stream: BuildKit's plain output, and its SolveStatus as JSON."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any, TextIO

from cachexport.cli.console import printable
from cachexport.cli.progress.renderer import SECOND, Renderer
from cachexport.contract.units import readable
from cachexport.oci.digest import Digest
from cachexport.oci.timestamp import Timestamp

if TYPE_CHECKING:
    from cachexport.cli.progress.renderer import Clock, Step, Vertex


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
        self._write(f"#{step.vertex.number} {printable(step.name)}{_plain_state(step, at)}")

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def _plain_state(step: Step, at: int) -> str:
    seconds = (at - step.started) / SECOND
    # BuildKit names no time that would read 0.0s.
    time = f" {seconds:.1f}s" if seconds > 0.01 else ""
    if step.error:
        return f"{time} ERROR: {printable(step.error)}"
    if step.completed is not None:
        return f"{time} done"
    moved = f" {readable(step.current)} / {readable(step.total)}" if step.current else ""
    return f"{moved}{time}"


_STDERR = 2


class RawJsonRenderer(Renderer):
    """Writes what began, ended or moved, a moving layer ten times a second at most.

    What the library logs comes as BuildKit's warnings and logs, their texts in base64.
    """

    interval = SECOND // 10

    def __init__(self, stream: TextIO, now: Clock) -> None:
        super().__init__(now)
        self._stream = stream

    def show_vertex(self, vertex: Vertex) -> None:
        """See Renderer."""
        shown = {"digest": _digest(vertex), "name": vertex.name, **_times(vertex)}
        if vertex.error:
            shown["error"] = vertex.error
        self._write({"vertexes": [shown]})

    def show_step(self, step: Step, at: int) -> None:
        """See Renderer."""
        shown: dict[str, Any] = {"id": step.name, "vertex": _digest(step.vertex)}
        if step.total:
            shown["total"] = step.total
        shown |= {"current": step.current, "timestamp": _time(at), **_times(step)}
        self._write({"statuses": [shown]})

    def log(self, kind: str, message: str) -> None:
        """See Renderer."""
        text = b64encode(message.encode(errors="replace")).decode()
        with self._lock:
            if kind == "warning":
                self._write({"warnings": [{"level": 1, "short": text}]})
            else:
                at = _time(self._now())
                self._write({"logs": [{"stream": _STDERR, "data": text, "timestamp": at}]})

    def _write(self, status: dict[str, Any]) -> None:
        self._stream.write(json.dumps(status, separators=(",", ":")) + "\n")
        self._stream.flush()


def _digest(vertex: Vertex) -> str:
    return Digest.of(f"{vertex.number} {vertex.name}".encode())


def _times(timed: Vertex | Step) -> dict[str, str]:
    times = {"started": _time(timed.started)}
    if timed.completed is not None:
        times["completed"] = _time(timed.completed)
    return times


def _time(at: int) -> str:
    return str(Timestamp(*divmod(at, SECOND)))
