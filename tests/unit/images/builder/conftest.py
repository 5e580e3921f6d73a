"""A store of a test's own, and its snapshots, each way."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from unit.images.builder.stacks import WAYS, way_of
from unit.images.store.rig import Clock, opened

from cachexport.content.files.mounts import mounted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cachexport.images.builder import Snapshots
    from cachexport.images.store import Lease, Store


@pytest.fixture
def store() -> Iterator[Store]:
    # Not in memory: some kernels have fewer kinds of attributes there.
    place = Path(tempfile.mkdtemp())
    with opened(place / "a store, with: signs", Clock()) as store:
        yield store
        for lease in store.leases.list():
            store.leases.delete(lease.id)
        store.collect_garbage()
        left = os.listdir(store.directories.place) if store.directories.place.exists() else []
    assert left == []
    assert not [each for each in mounted() if each.point.is_relative_to(place)]
    shutil.rmtree(place)


@pytest.fixture
def lease(store: Store) -> Lease:
    return store.leases.create(seconds=3600)


@pytest.fixture(params=WAYS)
def snapshots(store: Store, request: pytest.FixtureRequest) -> Snapshots:
    return way_of(store, request.param)
