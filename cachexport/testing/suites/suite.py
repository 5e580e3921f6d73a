"""What all suites have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cachexport.testing.harness import Harness


class Suite:
    """Tests of a backend. A subclass gives the fixture `harness`, and may have more tests."""

    @pytest.fixture
    def harness(self) -> Harness:
        """Give a fresh and empty place; each test asks once."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `harness`")
