"""The clock of a context: what time it is, and sleeping.

Nothing else in the library asks the machine for the time or sleeps. A test or a simulation sets a
clock of its own, so it need not patch a module and does not wait.
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
    """A source of time. All times are in seconds."""

    now: Callable[[], float] = time.time
    """Seconds since 1970. They jump when somebody sets the machine's clock."""
    monotonic: Callable[[], float] = time.monotonic
    """Seconds since an arbitrary moment. They only grow: use them for timeouts."""
    sleep: Callable[[float], None] = time.sleep
    """Waits for a number of seconds."""


_MACHINE = Clock()
_clock: ContextVar[Clock] = ContextVar("clock", default=_MACHINE)


def clock() -> Clock:
    """Give the clock of this context; by default it is the machine's."""
    return _clock.get()


@contextmanager
def using_clock(given: Clock) -> Iterator[None]:
    """Set the clock for the block, and for the threads that `map_parallel` starts in it."""
    token = _clock.set(given)
    try:
        yield
    finally:
        _clock.reset(token)
