"""Interrupts that reach every thread of a transfer."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from cachexport.transfer.progress import Event, Progress


_MESSAGE = "interrupted"


@contextmanager
def interruptible(progress: Progress) -> Iterator[Progress]:
    """Let an interrupt stop the threads too: they hear of it when they next report progress.

    Else the process would go on until the layers under way, however long, are written. Where
    interrupts are ignored, as in what a shell runs in the background, they stay ignored.
    """
    stopped = threading.Event()

    def hear(event: Event) -> None:
        if stopped.is_set() and event.state != "done":
            raise KeyboardInterrupt(_MESSAGE)
        progress(event)

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()
        raise KeyboardInterrupt(_MESSAGE)

    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield hear
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield hear
    finally:
        signal.signal(signal.SIGINT, before)
