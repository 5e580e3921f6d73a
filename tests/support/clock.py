"""The clock that tests go by: the machine's, until a test says otherwise."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, cast

from cachexport.content.clock import clock

if TYPE_CHECKING:
    from collections.abc import Callable


class HasTime(Protocol):
    """What has seconds that can be set, as MemoryObjects."""

    time: float


class TestClock:
    """See Clock. A fixture of all tests gives each of them one of its own."""

    __test__ = False

    def __init__(self) -> None:
        self.now: Callable[[], float] = time.time
        self.monotonic: Callable[[], float] = time.monotonic
        self.sleep: Callable[[float], None] = time.sleep


def sleep_by(sleep: Callable[[float], object]) -> None:
    """Have whatever waits in this test call `sleep` with the seconds instead."""
    cast("TestClock", clock()).sleep = sleep


def set_ahead(seconds: float) -> None:
    """Have the clock of this test be so many seconds ahead of the machine's."""
    cast("TestClock", clock()).now = lambda: time.time() + seconds


def go_by(store: HasTime, *, skew: float = 0.0) -> None:
    """Have the time in this test be that of a store, which goes on when somebody waits.

    Its seconds since 1970 are `skew` ahead.
    """

    def sleep(seconds: float) -> None:
        store.time += seconds

    own = cast("TestClock", clock())
    own.now = lambda: store.time + skew
    own.monotonic = lambda: store.time
    own.sleep = sleep


def wait_for_nothing() -> None:
    """Let no time pass between tries."""
    sleep_by(lambda seconds: None)
