"""The suites that every backend passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cachexport_sqlite.client import SqliteObjects

from cachexport.testing import BackendSuite, Harness, ObjectClientSuite

if TYPE_CHECKING:
    from pathlib import Path


class TestSqlite(BackendSuite):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Harness:
        file = tmp_path / "caches.db"

        def put_foreign(name: str) -> None:
            SqliteObjects(str(file)).replace(f"manifests/{name}", b"a poem", {}, version=None)

        return Harness(
            spec=lambda name: f"type=sqlite,file={file},name={name}",
            swaps=True,
            sweeps=True,
            no_grace="touch_refresh=0s",
            put_foreign=put_foreign,
        )


class TestSqliteObjects(ObjectClientSuite):
    page_size = 5

    @pytest.fixture
    def client(self, tmp_path: Path) -> SqliteObjects:
        return SqliteObjects(str(tmp_path / "caches.db"), self.page_size)
