"""Doing many things at once, and stopping early when one of them fails."""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_In = TypeVar("_In")
_Out = TypeVar("_Out")

DEFAULT_THREADS = 4
"""As many layers at once as BuildKit moves."""


def map_parallel(
    work: Callable[[_In], _Out], items: Iterable[_In], threads: int = DEFAULT_THREADS
) -> list[_Out]:
    """Give `work(item)` for every item, in the order of the items.

    When one fails no other is begun, those under way are waited for, and the first error is
    raised with a note of the others.
    """
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="cachexport") as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            pool.shutdown(cancel_futures=True)
    _raise_first([future for future in futures if not future.cancelled()])
    return [future.result() for future in futures]


def _raise_first(futures: list[Future[_Out]]) -> None:
    errors = [error for future in futures if (error := future.exception()) is not None]
    if not errors:
        return
    for error in errors[1:]:
        errors[0].add_note(f"also: {error}")
    raise errors[0]
