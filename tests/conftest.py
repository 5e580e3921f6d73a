"""Settings for all tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from support.clock import TestClock

from cachexport.content.clock import using

if TYPE_CHECKING:
    from collections.abc import Iterator

# A loaded machine is slow, not wrong.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def _own_clock() -> Iterator[None]:
    """Give each test a clock that it may set."""
    with using(TestClock()):
        yield
