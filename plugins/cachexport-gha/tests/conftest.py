"""Servers for the tests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from azurite import running_azurite
from github import running_github

from cachexport.testing import inherit_nothing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azurite import Azurite
    from github import GitHub


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    inherit_nothing(config)


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with running_azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture
def github(azurite: Azurite) -> Iterator[GitHub]:
    """Give a service that has nothing yet."""
    with running_github(azurite) as server:
        yield server
