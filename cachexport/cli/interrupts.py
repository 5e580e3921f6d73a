"""Signals that end a command, and that reach every thread of a transfer."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from cachexport.content.progress import Event, Progress

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a terminal sends, and what a CI system sends to a job that it cancels."""


class Interrupted(KeyboardInterrupt):
    """A signal wants the command to end; temporary files are removed on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__("interrupted")
        self.number = number


@contextmanager
def interruptible(progress: Progress) -> Iterator[Progress]:
    """Let a signal stop the threads too: they hear of it when they next report progress.

    Else the process would go on until the layers under way, however long, are written. A signal
    that is ignored, as interrupts are in what a shell runs in the background, stays ignored.
    """
    stopped: list[int] = []

    def hear(event: Event) -> None:
        if stopped and event.state != "done":
            raise Interrupted(stopped[0])
        progress(event)

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(number)
        raise Interrupted(number)

    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    stack.callback(signal.signal, number, signal.signal(number, stop))
        yield hear


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Let the first SIGINT or SIGTERM in the block call `stop`; a second one kills the process.

    A signal that is ignored stays ignored.
    """
    numbers = [
        number
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) is not signal.SIG_IGN
    ]

    def first(number: int, frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_DFL)
        stop()

    with ExitStack() as stack:
        for number in numbers:
            stack.callback(signal.signal, number, signal.signal(number, first))
        yield
