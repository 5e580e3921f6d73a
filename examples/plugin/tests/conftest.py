"""Settings for all tests."""

from __future__ import annotations

import pytest

from cachexport.testing import inherit_nothing


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """See docs/plugins.md: the tests then tell of the backend, and not of the machine."""
    inherit_nothing(config)
