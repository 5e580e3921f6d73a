"""Servers for all tests, and a place for each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from places import Server, running_gcs, running_sshd

from cachexport.testing import inherit_nothing

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    inherit_nothing(config)


@pytest.fixture(scope="session")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_gcs(tmp_path_factory.mktemp("gcs")) as server:
        yield server


@pytest.fixture
def files(tmp_path: Path) -> Server:
    return Server(f"file://{tmp_path}")


@pytest.fixture
def memory() -> Server:
    return Server("memory://")
