"""What every backend must do, as classes of tests that the tests of a backend inherit."""

from cachexport.testing.suites.content import ContentSuite
from cachexport.testing.suites.hosting import HostingSuite
from cachexport.testing.suites.keeping import KeepingSuite
from cachexport.testing.suites.moving import MovingSuite
from cachexport.testing.suites.names import NamesSuite
from cachexport.testing.suites.objects import ObjectClientSuite
from cachexport.testing.suites.racing import RacingSuite
from cachexport.testing.suites.refusals import RefusalSuite
from cachexport.testing.suites.sweeping import SweepingSuite

__all__ = [
    "BackendSuite",
    "ContentSuite",
    "HostingSuite",
    "KeepingSuite",
    "MovingSuite",
    "NamesSuite",
    "ObjectClientSuite",
    "RacingSuite",
    "RefusalSuite",
    "SweepingSuite",
]


class BackendSuite(
    ContentSuite,
    MovingSuite,
    NamesSuite,
    SweepingSuite,
    KeepingSuite,
    RacingSuite,
    RefusalSuite,
    HostingSuite,
):
    """All that a backend must do. A subclass gives the fixture `harness`."""
