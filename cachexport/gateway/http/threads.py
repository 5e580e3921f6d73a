"""Where the work of backends is done, which waits."""

from __future__ import annotations

import asyncio
import itertools
import threading
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from cachexport.content.clock import clock

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_T = TypeVar("_T")
_NAME = "cachexport-place"
_numbers = itertools.count()
_ENDING = 2.0
"""Seconds for threads to end when nobody waits for what they do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threads:
    """Three kinds, none of which ever waits for one of its own."""

    short: Executor
    """For questions to the store, and blocks of what is there."""
    long: Executor
    """For what becomes of uploads."""
    far: Executor
    """For what is read upstream: that may be another gateway, which waits for this one."""

    name: str
    """What the names of all begin with."""

    def shutdown(self) -> None:
        """Begin nothing more, and give what is under way a moment."""
        for executor in (self.short, self.long, self.far):
            executor.shutdown(wait=False, cancel_futures=True)
        until = clock().monotonic() + _ENDING
        for thread in working(self.name):
            thread.join(max(0.0, until - clock().monotonic()))


def working(name: str) -> list[threading.Thread]:
    """List the threads that are there; after `shutdown` they wait for what does not answer."""
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def threads() -> Threads:
    """Give as many as a gateway needs for 64 clients at once."""
    name = f"{_NAME}-{next(_numbers)}-"
    return Threads(
        short=ThreadPoolExecutor(32, thread_name_prefix=f"{name}short"),
        long=ThreadPoolExecutor(64, thread_name_prefix=f"{name}long"),
        far=ThreadPoolExecutor(32, thread_name_prefix=f"{name}far"),
        name=name,
    )


async def do(executor: Executor, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Do something in a thread, in the context of the request."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(executor, copy_context().run, partial(work, *args, **kwargs))
