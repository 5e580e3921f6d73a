"""Where the work of backends is done, which waits."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Threads:
    """Three kinds, none of which ever waits for one of its own."""

    short: Executor
    """For questions to the store, and blocks of what is there."""
    long: Executor
    """For what becomes of uploads."""
    far: Executor
    """For what is read upstream: that may be another gateway, which waits for this one."""

    def shutdown(self) -> None:
        """Wait for the work under way."""
        for executor in (self.short, self.long, self.far):
            executor.shutdown()


def threads() -> Threads:
    """Give as many as a gateway needs for 64 clients at once."""
    return Threads(
        short=ThreadPoolExecutor(32, thread_name_prefix="cachexport-short"),
        long=ThreadPoolExecutor(64, thread_name_prefix="cachexport-long"),
        far=ThreadPoolExecutor(32, thread_name_prefix="cachexport-far"),
    )


async def do(executor: Executor, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Do something in a thread, in the context of the request."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(executor, copy_context().run, partial(work, *args, **kwargs))
