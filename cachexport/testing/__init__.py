"""What the tests of a backend are made of: suites that hold it to what every backend must do.

Needs pytest, which the extra `testing` brings. A test module of a plugin is as short as this:

    class TestMine(BackendSuite):
        @pytest.fixture
        def harness(self, tmp_path):
            return Harness(spec=lambda name: f"type=mine,path={tmp_path},name={name}", …)

A backend on the object layout holds its client to `ObjectClientSuite` too. docs/plugins.md tells
the whole way.
"""

from __future__ import annotations

import pytest

# Failed assertions in the suites then show what was compared, as those in test modules do.
pytest.register_assert_rewrite("cachexport.testing.suites")

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
from cachexport.testing.real import CACHES, layout_files, real_cache  # noqa: E402
from cachexport.testing.samples import small_cache, small_chains  # noqa: E402
from cachexport.testing.suites import (  # noqa: E402
    BackendSuite,
    ContentSuite,
    HostingSuite,
    KeepingSuite,
    MovingSuite,
    NamesSuite,
    ObjectClientSuite,
    RacingSuite,
    RefusalSuite,
    SweepingSuite,
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
    "KeepingSuite",
    "MemoryObjects",
    "MovingSuite",
    "NamesSuite",
    "ObjectClientSuite",
    "RacingSuite",
    "RefusalSuite",
    "SweepingSuite",
    "difference",
    "inherit_nothing",
    "layout_files",
    "real_cache",
    "small_cache",
    "small_chains",
]
