"""The store in memory that tests build on is one that the object layout can count on."""

from __future__ import annotations

import itertools
import time

import pytest

from cachexport.testing import MemoryObjects, ObjectClientSuite


class Ticking(MemoryObjects):
    """Has our clock, a little later each time it is looked at."""

    def __getattribute__(self, name: str) -> object:
        return next(_TICKS) if name == "time" else super().__getattribute__(name)


_TICKS = (time.time() + number / 1e6 for number in itertools.count())


class TestMemory(ObjectClientSuite):
    page_size = 5

    @pytest.fixture
    def client(self) -> MemoryObjects:
        return Ticking(page_size=self.page_size)
