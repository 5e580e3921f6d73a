"""What a test needs of the machine, and may do without on some."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def lacking(what: str, why: str) -> NoReturn:
    """Skip the test; fail instead where CACHEXPORT_MUST_RUN lists `what`, or is `all`."""
    required = os.environ.get("CACHEXPORT_MUST_RUN", "").split(",")
    if what in required or "all" in required:
        pytest.fail(f"CACHEXPORT_MUST_RUN wants tests that need {what}: {why}")
    pytest.skip(f"needs {what}: {why}")
