"""Trying again what failed for a reason that may pass."""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING, TypeVar

from cachexport.errors import BackendError, TransferError

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

ATTEMPTS = 5
"""How often something is tried in all, where its backend does not count."""
_FIRST = 0.2
"""Seconds before the second try; each pause is twice the one before."""
_LONGEST = 30.0


class Anew(BackendError):
    """Something failed that may be done anew from its start, however often it was done before.

    A backend that was told how often to try raises this, and counts; when it has tried enough it
    raises an error that is not temporary.
    """

    def __init__(self, message: str, *, op: str) -> None:
        super().__init__(message, op=op, temporary=True)


def persistently(work: Callable[[], _T], attempts: int = ATTEMPTS) -> _T:
    """Give what `work` gives, calling it again after an error that is temporary.

    It is called `attempts` times at most, not counting those that ended with Anew. Between two
    tries it waits, each time longer, and never quite as long as others do: many who were turned
    away together do not come back together. The last error is raised.
    """
    failures = counted = 0
    while True:
        try:
            return work()
        except (BackendError, TransferError) as error:
            failures += 1
            counted += not _is_anew(error)
            if not error.temporary or counted >= attempts:
                raise
            _log.info("%s; trying again", error)
        _wait(failures)


def _is_anew(error: BackendError | TransferError) -> bool:
    return isinstance(error, Anew) or isinstance(error.__cause__, Anew)


def _wait(failures: int) -> None:
    wait = min(_FIRST * 2 ** (failures - 1), _LONGEST)
    time.sleep(wait * random.uniform(1.0, 1.5))  # noqa: S311 - no secret
