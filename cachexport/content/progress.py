"""Telling what is going on: one event when a step begins, moves and ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to a step, such as `writing layer sha256:…`.

    `current` and `total` are bytes; `total` is 0 where a step moves none. A step that failed
    has an `error`. Of many steps alike it is said beforehand that they are planned.
    """

    step: str
    state: Literal["planned", "started", "moved", "done"]
    current: int = 0
    total: int = 0
    error: str = ""


Progress = Callable[[Event], None]
"""Hears of events. It is called from several threads, and should return at once."""


def silent(event: Event) -> None:
    """Hear of events and do nothing."""


@contextmanager
def step(progress: Progress, name: str, total: int = 0) -> Iterator[Callable[[int], None]]:
    """Report a step around a block, which can report in turn how many bytes it moved."""
    current = 0

    def moved(count: int) -> None:
        nonlocal current
        current += count
        progress(Event(name, "moved", current, total))

    progress(Event(name, "started", 0, total))
    try:
        yield moved
    except BaseException as error:
        progress(Event(name, "done", current, total, str(error) or type(error).__name__))
        raise
    progress(Event(name, "done", current, total))
