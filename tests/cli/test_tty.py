"""Progress on a terminal."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

from cli.commands import environment, local
from cli.scripted import LAYER, Clock, one_layer
from rich.console import Console
from support.caches import unpack_wide

from cachexport.cli.progress.tty import MAX_ROWS, TtyRenderer
from cachexport.content.progress import Event

if TYPE_CHECKING:
    from pathlib import Path

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Screen:
    """A renderer whose terminal is a text, drawn when asked."""

    def __init__(self, width: int = 80) -> None:
        self.clock = Clock()
        self.written = io.StringIO()
        self._width = width
        self.renderer = TtyRenderer(
            self.clock, Console(file=self.written, force_terminal=True, width=width)
        )

    def rows(self) -> list[str]:
        drawn = Console(file=io.StringIO(), width=self._width, color_system=None)
        drawn.print(self.renderer._progress.get_renderable())
        assert isinstance(drawn.file, io.StringIO)
        return [line for line in drawn.file.getvalue().splitlines() if line.strip()]

    def lines(self) -> list[str]:
        return [line.strip() for line in _ESCAPE.sub("", self.written.getvalue()).splitlines()]


def _layer(number: int) -> str:
    return f"writing layer sha256:{number:012x}{0:052x}"


def test_a_running_layer_has_bytes_and_speed() -> None:
    screen = Screen()
    with screen.renderer as hear:
        hear(Event(LAYER, "started", 0, 50_000_000))
        for second in range(1, 6):
            screen.clock.after(1)
            hear(Event(LAYER, "moved", second * 5_000_000, 50_000_000))
        overall, layer = screen.rows()
    assert "exporting cache" in overall
    assert "0 of 1, 25.00 MB" in overall
    assert "writing layer sha256:abababababab " in layer
    assert "25.00 MB / 50.00 MB" in layer
    assert "5.00 MB/s" in layer
    assert len(layer) <= 80


def test_what_is_done_collapses_into_one_line() -> None:
    screen = Screen()
    with screen.renderer as hear:
        for number in range(600):
            one_layer(hear, screen.clock, name=_layer(number), seconds=0.01)
        (overall,) = screen.rows()
    assert "600 of 600, 7.20 GB" in overall
    summaries = [line for line in screen.lines() if line.startswith("exporting cache: ")]
    assert summaries == ["exporting cache: 600 steps, 7.20 GB written, 6.0s"]


def test_planned_layers_are_counted_before_they_begin() -> None:
    screen = Screen()
    with screen.renderer as hear:
        for number in range(600):
            hear(Event(_layer(number), "planned", 0, 1000))
        one_layer(hear, screen.clock, name=_layer(0), seconds=0.01)
        (overall,) = screen.rows()
    assert "1 of 600, 12.00 MB" in overall


def test_rows_are_few_however_many_layers_run() -> None:
    screen = Screen()
    with screen.renderer as hear:
        for number in range(600):
            hear(Event(_layer(number), "started", 0, 1000))
        rows = screen.rows()
        assert len(rows) == 1 + MAX_ROWS
        assert "0 of 600, 600 running" in rows[0]
        hear(Event(_layer(0), "done", 1000, 1000))
        hear(Event(_layer(599), "done", 1000, 1000))
        rows = screen.rows()
        assert len(rows) == 1 + MAX_ROWS
        assert "2 of 600, 598 running" in rows[0]
        assert not any(f"{0:012x}" in row for row in rows)
        assert f"{MAX_ROWS:012x}"[:6] in rows[-1]


def test_a_failed_step_stays_in_sight() -> None:
    screen = Screen(width=120)
    with screen.renderer as hear:
        hear(Event(LAYER, "started", 0, 9))
        hear(Event(LAYER, "done", 3, 9, error="disk [red]full\x07"))
    lines = screen.lines()
    assert "writing layer sha256:abababababab: disk [red]full\\x07" in lines
    assert "exporting cache: failed after 0.0s" in lines


def test_narrow_terminals_get_no_longer_lines() -> None:
    screen = Screen(width=40)
    with screen.renderer as hear:
        hear(Event(LAYER, "started", 0, 50_000_000))
        hear(Event(LAYER, "moved", 50, 50_000_000))
        assert max(map(len, screen.rows())) <= 40


def test_the_real_command_on_a_terminal(tmp_path: Path) -> None:
    source = local(unpack_wide(tmp_path))
    args = ["export", "--cache-from", source, "--cache-from", local(tmp_path / "absent")]
    target = local(tmp_path / "out", "dest")
    command = [sys.executable, "-m", "cachexport", *args, "--cache-to"]
    screen, stderr = pty.openpty()
    fcntl.ioctl(stderr, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 300, 0, 0))
    with subprocess.Popen(
        [*command, target],
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=environment(TERM="xterm-256color"),
    ) as child:
        os.close(stderr)
        seen = _read_all(screen)
        assert child.stdout is not None
        assert list(json.loads(child.stdout.read())) == ["cache.manifest"]
        assert child.wait(60) == 0
    text = _ESCAPE.sub("", seen)
    joined = re.sub(r"[\r\n]", "", text)  # long lines are broken
    assert f"importing cache manifest from {source}: 0." in joined
    assert f"exporting cache to {target}: 602 steps, 73.10 kB written" in joined
    assert "cachexport: warning: skipping" in text
    assert "\x1b[33m" in seen
    assert seen.rindex("\x1b[?25l") < seen.rindex("\x1b[?25h"), "the cursor is shown again"


def _read_all(screen: int) -> str:
    read = b""
    try:
        while some := os.read(screen, 65536):
            read += some
    except OSError:  # how a terminal says that nobody has it open any more
        pass
    os.close(screen)
    return read.decode()
