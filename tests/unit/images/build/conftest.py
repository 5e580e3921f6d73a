"""Where builds are made, and what is copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from unit.images.build.bench import Bench

from cachexport.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Store.open(tmp_path / "store", clock=lambda: 0.0) as store:
        yield Bench(store)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    place = tmp_path / "src"
    place.mkdir()
    (place / "main").write_text("main")
    return place
