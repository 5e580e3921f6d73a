"""Directories do what every backend must do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cachexport.testing import BackendSuite, Harness

if TYPE_CHECKING:
    from pathlib import Path


class TestLocal(BackendSuite):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Harness:
        folder = tmp_path / "place"
        ends = f"type=local,dest={folder},src={folder}"
        return Harness(spec=lambda name: f"{ends},tag={name}", swaps=True, sweeps=True)
