"""Threads for the calls of backends, which block."""

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
"""Seconds that `shutdown` gives threads to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threads:
    """Three pools. The work of a pool never waits for other work of the same pool."""

    short: Executor
    """For short calls of the store, and for blocks of its blobs."""
    long: Executor
    """For writing uploads and listing names."""
    far: Executor
    """For reading upstream: that may be another gateway which in turn waits for this one."""

    name: str
    """The prefix of the threads' names."""

    def shutdown(self) -> None:
        """Start nothing more, and wait a moment for work under way."""
        for executor in (self.short, self.long, self.far):
            executor.shutdown(wait=False, cancel_futures=True)
        until = clock().monotonic() + _ENDING
        for thread in working(self.name):
            thread.join(max(0.0, until - clock().monotonic()))


def working(name: str) -> list[threading.Thread]:
    """List the live threads of a name; after `shutdown`, they wait for places that hang."""
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def threads() -> Threads:
    """Make the pools of a gateway, large enough for 64 clients at once."""
    name = f"{_NAME}-{next(_numbers)}-"
    return Threads(
        short=ThreadPoolExecutor(32, thread_name_prefix=f"{name}short"),
        long=ThreadPoolExecutor(64, thread_name_prefix=f"{name}long"),
        far=ThreadPoolExecutor(32, thread_name_prefix=f"{name}far"),
        name=name,
    )


async def do(executor: Executor, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call `work` in a thread, in the context of the request."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(executor, copy_context().run, partial(work, *args, **kwargs))
