"""Trying again what failed for a reason that may pass."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, TypeVar

from cachexport.errors import BackendError, TransferError

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

ATTEMPTS = 5
"""How often something is tried in all."""
_FIRST = 0.2
"""Seconds before the second try; each pause is twice the one before."""


def persistently(work: Callable[[], _T], attempts: int = ATTEMPTS) -> _T:
    """Give what `work` gives, calling it again after an error that is temporary.

    Between two tries it waits, each time longer, and never quite as long as others do: many who
    were turned away together do not come back together. The last error is raised.
    """
    for attempt in range(1, attempts):
        try:
            return work()
        except (BackendError, TransferError) as error:
            if not error.temporary:
                raise
        time.sleep(_FIRST * 2 ** (attempt - 1) * random.uniform(1.0, 1.5))  # noqa: S311 - no secret
    return work()
