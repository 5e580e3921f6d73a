"""Settings for all tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from support.clock import TestClock

from cachexport.content.clock import using_clock

if TYPE_CHECKING:
    from collections.abc import Iterator

from cachexport.testing import inherit_nothing

# A loaded machine is slow, not wrong.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Leave pytest's own terminal as it is: that is made by then."""
    inherit_nothing(config, keep=["UPDATE_GOLDEN"])


@pytest.fixture(autouse=True)
def _own_clock() -> Iterator[None]:
    """Give each test a clock that it may set."""
    with using_clock(TestClock()):
        yield
