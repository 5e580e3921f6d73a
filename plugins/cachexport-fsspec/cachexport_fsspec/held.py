"""What is opened with the first call, and anew in a process that was forked since.

An asynchronous file system runs in a thread of its own, which a forked process has not: the one
that it got would wait for that for ever, or refuse to work.
"""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class Held(Generic[_T]):
    """Gives what `make` makes, the same to all threads of a process, until `drop` gives it back."""

    def __init__(self, make: Callable[[], _T]) -> None:
        self._make = make
        self._made: _T | None = None
        self._left: list[_T] = []
        self._begin()

    def get(self) -> _T:
        """Give it, and make it if need be."""
        if self._pid != os.getpid():
            if self._made is not None:
                self._left.append(self._made)  # it is the other process that closes it
            self._begin()
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def drop(self) -> _T | None:
        """Forget it, and give it if it was made; the caller closes it."""
        if self._pid != os.getpid():
            return None
        with self._lock:
            made, self._made = self._made, None
        return made

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = Lock()  # somebody may have held the old one when the process was forked
        self._made = None
