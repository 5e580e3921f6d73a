"""A server for all tests, and a container for each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from azurite import running_azurite

from cachexport.testing import inherit_nothing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azurite import Azurite


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    inherit_nothing(config)


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with running_azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture
def container(azurite: Azurite) -> str:
    """Give the name of a container that nobody has made yet."""
    return azurite.fresh()
