"""Events of progress: a step is planned, starts, moves bytes, and is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Event:
    """A change of one step. `step` is its text, for example `writing layer sha256:…`.

    `current` and `total` are bytes; `total` is 0 where a step moves none. A step that failed
    has an `error`. Where many steps of one kind follow, each is announced as planned.
    """

    step: str
    state: Literal["planned", "started", "moved", "done"]
    current: int = 0
    total: int = 0
    error: str = ""


Progress = Callable[[Event], None]
"""Takes events. It is called from several threads and should return at once."""


def silent(event: Event) -> None:
    """Ignore an event."""


@contextmanager
def step(progress: Progress, name: str, total: int = 0) -> Iterator[Callable[[int], None]]:
    """Report the step that the block is. The block calls what it is given with bytes moved."""
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
