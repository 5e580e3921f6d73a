"""Many at once, in one place and under one name."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from cachexport.api.caches import (
    load_cache,
    verify_cache,
)
from cachexport.api.names import (
    verify_names,
)
from cachexport.testing.samples import layer
from cachexport.testing.suites.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachexport.testing.harness import Harness

_WRITERS = 6


def _at_once(work: Callable[[int], None]) -> None:
    """Have all begin at one moment, and raise what any raised."""
    gate = threading.Barrier(_WRITERS)

    def run(number: int) -> None:
        gate.wait()
        work(number)

    with ThreadPoolExecutor(_WRITERS) as pool:
        for done in [pool.submit(run, number) for number in range(_WRITERS)]:
            done.result()


def _blobs(spec: str) -> set[str]:
    [cache] = load_cache(spec)
    return {str(desc.digest) for desc in cache.layers}


class RacingSuite(Suite):
    """Exports and merges that come together."""

    def test_exports_to_names_of_their_own(self, harness: Harness) -> None:
        _at_once(lambda number: harness.put(f"job-{number}", 9, number))
        assert harness.names() == [f"job-{number}" for number in range(_WRITERS)]
        for number in range(_WRITERS):
            wanted = {str(layer(each)[1].digest) for each in (9, number)}
            assert _blobs(harness.spec(f"job-{number}")) == wanted
        assert all(not item.faults for item in verify_names(harness.spec("x"), deep=True))

    def test_the_last_of_exports_to_one_name_counts_whole(self, harness: Harness) -> None:
        _at_once(lambda number: harness.put("main", 9, number))
        [found] = verify_cache(harness.spec("main"), deep=True)
        assert not found.faults
        choices = [{str(layer(each)[1].digest) for each in (9, n)} for n in range(_WRITERS)]
        assert _blobs(harness.spec("main")) in choices

    def test_merges_into_one_name_lose_nothing(self, harness: Harness) -> None:
        _at_once(lambda n: harness.put("main", 9, n, seconds=100 * n, attrs="merge=true"))
        [found] = verify_cache(harness.spec("main"), deep=True)
        assert not found.faults
        wanted = {str(layer(each)[1].digest) for each in (9, *range(_WRITERS))}
        if harness.swaps:
            assert _blobs(harness.spec("main")) == wanted
        else:
            assert _blobs(harness.spec("main")) <= wanted

    def test_who_reads_meanwhile_reads_something_whole(self, harness: Harness) -> None:
        harness.put("main", 9, 0)

        def work(number: int) -> None:
            if number % 2:
                harness.put("main", 9, number)
                return
            for _ in range(3):
                [found] = verify_cache(harness.spec("main"), deep=True)
                assert not found.faults

        _at_once(work)
