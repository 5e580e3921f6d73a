"""Processes that are killed at one of their calls to the system.

From then on every such call fails, so that no cleaning up happens either.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MORTAL_CALLS = ("replace", "unlink", "fsync", "write", "ftruncate", "fchmod", "makedirs")


class Killed(BaseException):
    """A process is no more."""


class Fate:
    """Counts the calls of whoever runs now, who is killed when none is left; None: it lives.

    Before one of the calls others have their turn: `pause` counts them, and then calls `others`.
    """

    def __init__(self) -> None:
        self.left: int | None = None
        self.pause: int | None = None
        self.others: Callable[[], None] = lambda: None

    def around(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        self.let_others()
        self.strike()
        answer = call(*args, **kwargs)
        self.strike()
        return answer

    def strike(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed

    def let_others(self) -> None:
        if self.pause is None:
            return
        self.pause -= 1
        if self.pause < 0:
            left, self.left, self.pause = self.left, None, None
            self.others()
            self.left = left


FATE = Fate()


class MortalConnection(sqlite3.Connection):
    def execute(self, statement: str, /, *args: Any) -> sqlite3.Cursor:
        if statement != "COMMIT" and not statement.startswith("BEGIN"):
            return super().execute(statement, *args)
        answer: sqlite3.Cursor = FATE.around(super().execute, statement)
        return answer


@contextmanager
def mortal() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in MORTAL_CALLS:
            patch.setattr(os, name, partial(FATE.around, getattr(os, name)))
        patch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=MortalConnection))
        yield
