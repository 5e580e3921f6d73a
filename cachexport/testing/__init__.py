"""Suites that test what every backend must do, and tools for a backend's own tests.

Needs pytest, which the extra `testing` brings. A test module of a plugin is as short as this:

    class TestMine(BackendSuite):
        @pytest.fixture
        def harness(self, tmp_path):
            return Harness(spec=lambda name: f"type=mine,path={tmp_path},name={name}", …)

A backend on the object layout holds its client to `ObjectClientSuite` too. docs/plugins.md
shows every step.
"""

from __future__ import annotations

from typing import Any

import pytest

# Failed assertions in the suites then show what was compared, as those in test modules do.
pytest.register_assert_rewrite("cachexport.testing.suites")

from cachexport.public import find_renamed  # noqa: E402
from cachexport.testing.faults import (  # noqa: E402
    Fault,
    Faults,
    FaultyIngester,
    FaultyObjects,
    FaultyProvider,
    FaultyTarget,
)
from cachexport.testing.harness import Harness  # noqa: E402
from cachexport.testing.inheritance import inherit_nothing  # noqa: E402
from cachexport.testing.meaning import difference  # noqa: E402
from cachexport.testing.memory import MemoryObjects  # noqa: E402
from cachexport.testing.samples import CACHES, layout_files, real_cache, small_cache, small_chains  # noqa: E402  # noqa: E402
from cachexport.testing.suites import (  # noqa: E402
    BackendSuite,
    ContentSuite,
    HostingSuite,
    NamesSuite,
    ObjectClientSuite,
    RacingSuite,
    RefusalSuite,
    SweepingSuite,
    TransferSuite,
    UpkeepSuite,
)

__all__ = [
    "CACHES",
    "BackendSuite",
    "ContentSuite",
    "Fault",
    "Faults",
    "FaultyIngester",
    "FaultyObjects",
    "FaultyProvider",
    "FaultyTarget",
    "Harness",
    "HostingSuite",
    "MemoryObjects",
    "NamesSuite",
    "ObjectClientSuite",
    "RacingSuite",
    "RefusalSuite",
    "SweepingSuite",
    "TransferSuite",
    "UpkeepSuite",
    "difference",
    "inherit_nothing",
    "layout_files",
    "real_cache",
    "small_cache",
    "small_chains",
]

_RENAMED = {"KeepingSuite": "UpkeepSuite", "MovingSuite": "TransferSuite"}


def __getattr__(name: str) -> Any:
    if name in _RENAMED:
        return find_renamed(__name__, name, _RENAMED)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
