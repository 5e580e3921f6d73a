"""Settings for all tests."""

from __future__ import annotations

import pytest
from hypothesis import settings

from cachexport.testing import inherit_nothing

# A loaded machine is slow, not wrong.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Leave pytest's own terminal as it is: that is made by then."""
    inherit_nothing(config)
