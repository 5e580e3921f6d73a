"""Showing progress on stderr: one small class for each way, made by `open_renderer`."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cachexport.cli.progress.renderer import Clock, Renderer

MODES = ("auto", "plain", "tty", "rawjson", "quiet")


def clock() -> Clock:
    """Give a clock that tells the time of day in nanoseconds and never goes back."""
    since = time.time_ns() - time.monotonic_ns()
    return lambda: since + time.monotonic_ns()


def open_renderer(mode: str, now: Clock) -> Renderer:
    """Make the renderer for a `--progress`; use it in a `with` block."""
    if mode == "auto":
        mode = "tty" if _is_terminal() and os.environ.get("TERM") != "dumb" else "plain"
    if mode == "tty":
        return _tty(now)
    if mode == "rawjson":
        from cachexport.cli.progress.stream import RawJsonRenderer

        return RawJsonRenderer(sys.stderr, now)
    if mode == "plain":
        from cachexport.cli.progress.stream import PlainRenderer

        return PlainRenderer(sys.stderr, now)
    from cachexport.cli.progress.renderer import Renderer

    return Renderer(now)


def _tty(now: Clock) -> Renderer:
    if not _is_terminal():
        raise click.UsageError("--progress tty needs a terminal on stderr")
    from cachexport.cli.progress.tty import TtyRenderer

    return TtyRenderer(now)


def _is_terminal() -> bool:
    return sys.stderr.isatty()
