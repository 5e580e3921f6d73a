"""The clock that tests go by: the machine's, until a test says otherwise."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from cachexport.content.clock import clock

if TYPE_CHECKING:
    from collections.abc import Callable


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


def wait_for_nothing() -> None:
    """Let no time pass between tries."""
    sleep_by(lambda seconds: None)
