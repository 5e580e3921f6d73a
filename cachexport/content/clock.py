"""The time, and waiting for it to pass: one clock for all that happens in a context.

Nothing else in the library asks the machine for the time or sleeps. So a test, or a program that
simulates, gives a clock of its own and neither patches a module nor waits.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """What tells the time; all of it in seconds."""

    now: Callable[[], float] = time.time
    """Seconds since 1970, which may jump when somebody sets the clock."""
    monotonic: Callable[[], float] = time.monotonic
    """Seconds since some moment, which only grow: for timeouts."""
    sleep: Callable[[float], None] = time.sleep
    """Wait so many seconds."""


_MACHINE = Clock()
_clock: ContextVar[Clock] = ContextVar("clock", default=_MACHINE)


def clock() -> Clock:
    """Give the clock of this context, by default the machine's."""
    return _clock.get()


@contextmanager
def using(given: Clock) -> Iterator[None]:
    """Have all that the block does go by this clock, in the threads of `map_parallel` too."""
    token = _clock.set(given)
    try:
        yield
    finally:
        _clock.reset(token)
