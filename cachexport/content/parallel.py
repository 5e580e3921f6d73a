"""Doing many things at once, and stopping early when one of them fails."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_EXCEPTION, CancelledError, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_TOLD = 3
"""How many further errors are noted on the one that is raised."""
DEFAULT_THREADS = 4
"""How many layers move at a time; the same as in BuildKit."""


def map_parallel(
    work: Callable[[_In], _Out], items: Iterable[_In], threads: int = DEFAULT_THREADS
) -> list[_Out]:
    """Give `work(item)` for every item, in the order of the items; all see the caller's context.

    When one fails, no other is started and those under way are waited for. Then the first error
    is raised, with a note for each other error that has a different cause.
    """
    failed = threading.Event()

    def attempt(item: _In) -> _Out:
        if failed.is_set():
            raise CancelledError
        try:
            return work(item)
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="cachexport") as pool:
        futures = [pool.submit(copy_context().run, attempt, item) for item in items]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            failed.set()
            pool.shutdown(cancel_futures=True)
    _raise_first(futures)
    return [future.result() for future in futures]


def soon(work: Callable[[], _Out]) -> Callable[[], _Out]:
    """Start `work` in the background. Calling the result waits for what it gives or raises.

    A program that ends does not wait for it.
    """
    answer: Future[_Out] = Future()

    def attempt() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=attempt, name="cachexport-soon", daemon=True).start()
    return answer.result


def _raise_first(futures: list[Future[_Out]]) -> None:
    errors = [error for future in futures if (error := _error(future)) is not None]
    if not errors:
        return
    first, *others = errors
    different = [e for e in others if str(e.__cause__ or e) != str(first.__cause__ or first)]
    for error in different[:_TOLD]:
        first.add_note(f"also: {error}")
    if len(different) > _TOLD:
        first.add_note(f"and {len(different) - _TOLD} more errors")
    raise first


def _error(future: Future[_Out]) -> BaseException | None:
    if future.cancelled():
        return None
    error = future.exception()
    return None if isinstance(error, CancelledError) else error
