"""Prunes of a real bucket while many export to it, with a grace of seconds."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING

from cachexport import export_cache, prune_caches, verify_names
from cachexport.backends.objects.target import ObjectTarget
from cachexport.errors import NotFound
from cachexport.testing.samples import small_chains
from cachexport.upkeep.prune import Plan
from cachexport.upkeep.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from cachexport.contract.reading import (
        Current,
    )
    from cachexport.model.envelope.cache import WrappedCache

    Places = Callable[[str], Callable[[str], str]]

LONGEST = 90.0
"""Seconds after which enough must have happened."""
TOUCH_REFRESH, LONGEST_PAUSE = 2.0, 3.0
GRACE = TOUCH_REFRESH + LONGEST_PAUSE + 4.0
"""Seconds; S3 counts whole ones, and an export takes some beside its pause."""


def pausing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let exports pause between looking for blobs and naming them, as slow ones do."""
    publish = ObjectTarget.publish
    random = Random(1)

    def later(
        self: ObjectTarget, cache: WrappedCache, /, replacing: Current | None = None
    ) -> WrappedCache:
        threading.Event().wait(random.choice([0.0, 0.5, LONGEST_PAUSE]))
        return publish(self, cache, replacing=replacing)

    monkeypatch.setattr(ObjectTarget, "publish", later)


def test_nothing_that_a_name_needs_is_ever_deleted(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    pausing(monkeypatch)
    named = places("s3")
    deadline = time.monotonic() + LONGEST
    exports, freed, is_enough = [0] * 5, 0, threading.Event()

    def spec(name: str) -> str:
        return f"{named(name)},touch_refresh={TOUCH_REFRESH:g}s"

    def write(worker: int) -> None:
        random = Random(worker)
        while not is_enough.is_set():
            numbers = random.sample(range(12), 3)
            merge = ",merge=true" if random.random() < 0.3 else ""
            export_cache(small_chains(*numbers), spec(f"name-{random.randrange(4)}") + merge)
            exports[worker] += 1

    with ThreadPoolExecutor(len(exports)) as pool, ended(is_enough):
        writers = [pool.submit(write, worker) for worker in range(len(exports))]
        while not is_enough.is_set():
            assert time.monotonic() < deadline, (exports, freed)
            plan = Plan(retention=Retention(keep_last=2), grace=GRACE, dry_run=False)
            try:
                [done] = prune_caches([spec("x")], plan)
            except NotFound:
                continue
            assert done.freed is not None
            freed += done.freed.blobs
            assert faults(spec("x")) == []
            # One that merges slowly may be overtaken again and again while others go on.
            if sum(exports) >= 12 and freed >= 6:
                is_enough.set()
        for writer in writers:
            writer.result()
    assert faults(spec("x")) == []


@contextmanager
def ended(event: threading.Event) -> Iterator[None]:
    """Have the writers end whatever happens."""
    try:
        yield
    finally:
        event.set()


def faults(spec: str) -> list[str]:
    """Say what names lack; one that is removed while it is looked at lacks nothing."""
    try:
        found = verify_names(spec)
    except NotFound:
        return []
    return [f"{item.name}: {fault.text}" for item in found for fault in item.faults]
