from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from unit.images.store.rig import Clock, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cachexport.images.store import Store


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with opened(tmp_path / "store", clock) as store:
        yield store
