"""Whatever is done to a directory on layers: overlay, copy and a comparison say the same of it."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from unit.images.builder.changing import STEPS, Step, apply
from unit.images.builder.rig import seen
from unit.images.builder.trees import FOLDERS, LINKS, Below, make

from cachexport.content.memory import MemoryContent
from cachexport.errors import FailedPrecondition
from cachexport.images.builder import Policy, Snapshots, Way, diff_layer
from cachexport.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cachexport.images.builder import Writable
    from cachexport.oci.descriptor import Descriptor

POLICY = Policy(latest=1_500_000_000)
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def ways() -> Iterator[tuple[Snapshots, Snapshots]]:
    # Not in memory: some kernels have fewer kinds of attributes there.
    place = Path(tempfile.mkdtemp())
    with Store.open(place / "store", clock=time.time) as store:
        try:
            yield Snapshots.open(store, way=Way.OVERLAY), Snapshots.open(store, way=Way.COPY)
        except FailedPrecondition as error:
            pytest.skip(str(error))
        store.collect_garbage()
        assert os.listdir(store.directories.place) == []
    shutil.rmtree(place)


def committed(writable: Writable) -> Descriptor | None:
    return writable.commit(policy=POLICY)


def clamped(place: Path) -> dict[str, tuple[object, ...]]:
    """Give what is in a directory as its layer has it: neither new times nor sockets."""
    latest = POLICY.latest or 0
    return {
        name: (*what[:3], min(int(str(what[3])), latest * 10**9), *what[4:])
        for name, what in seen(place).items()
        if not str(what[0]).startswith("0o14")
    }


@settings(max_examples=80, deadline=None)
@given(FOLDERS, LINKS, STEPS, STEPS)
def test_all_ways_make_the_same_layers(
    ways: tuple[Snapshots, Snapshots],
    below: Below,
    links: list[tuple[int, int, bytes]],
    first: list[Step],
    second: list[Step],
) -> None:
    store = ways[0].store
    with store.leases.held() as lease, ExitStack() as stack:
        # None is a copy of what another case has unpacked.
        base = stack.enter_context(ways[0].writable([], lease.id))
        make(base.root / "tree", below, links)
        (base.root / "tree" / f"case {next(NUMBERS)}").touch()
        layers = [diff_layer(store.content.under(lease), None, base.root / "tree", policy=POLICY)]
        for steps in (first, second):
            writables = [stack.enter_context(way.writable(layers, lease.id)) for way in ways]
            shown = [clamped(each.root) for each in writables]
            assert shown[0] == shown[1]
            assert [committed(each) for each in writables] == [None, None]
            before = stack.enter_context(ways[1].writable(layers, lease.id))
            for writable in writables:
                apply(writable.root, steps)
            found = [committed(each) for each in writables]
            assert found[0] == found[1]
            compared = diff_layer(MemoryContent(), before.root, writables[1].root, policy=POLICY)
            assert compared.diff_id == (found[0] or compared).diff_id
            after = [clamped(each.root) for each in writables]
            assert after[0] == after[1]
            if found[0] is None:
                return
            layers.append(found[0])
            again = [stack.enter_context(way.writable(layers, lease.id)) for way in ways]
            assert [clamped(each.root) for each in again] == after
            assert [committed(each) for each in again] == [None, None]
