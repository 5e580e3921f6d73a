"""What every backend must do, as test classes that a backend's own tests inherit."""

from cachexport.testing.suites.content import ContentSuite
from cachexport.testing.suites.hosting import HostingSuite
from cachexport.testing.suites.names import NamesSuite, RacingSuite
from cachexport.testing.suites.objects import ObjectClientSuite
from cachexport.testing.suites.refusals import RefusalSuite
from cachexport.testing.suites.transfer import TransferSuite
from cachexport.testing.suites.upkeep import SweepingSuite, UpkeepSuite

__all__ = [
    "BackendSuite",
    "ContentSuite",
    "HostingSuite",
    "NamesSuite",
    "ObjectClientSuite",
    "RacingSuite",
    "RefusalSuite",
    "SweepingSuite",
    "TransferSuite",
    "UpkeepSuite",
]


class BackendSuite(
    ContentSuite,
    TransferSuite,
    NamesSuite,
    SweepingSuite,
    UpkeepSuite,
    RacingSuite,
    RefusalSuite,
    HostingSuite,
):
    """All suites of a backend. A subclass gives the fixture `harness`."""
