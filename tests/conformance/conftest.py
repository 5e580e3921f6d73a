"""The services of tests/services, for the suites."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from services.conftest import moto_s3, prefix, registry, repo, s3

if TYPE_CHECKING:
    import pytest

__all__ = ["moto_s3", "prefix", "registry", "repo", "s3"]

_SERVED = {"test_registry.py", "test_s3.py"}
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == _HERE and item.path.name in _SERVED:
            item.add_marker("services")
