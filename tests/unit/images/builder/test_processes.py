"""Builds in several processes, killed anywhere, with leases that expire and collections."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import TESTS
from unit.images.builder.test_classic import LOCAL, NAME, Remote
from unit.images.store.rig import BEGIN

from cachexport.content.files.mounts import mounted
from cachexport.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR = 3600.0


class World:
    """A store, a clock that all see, and processes that build there."""

    def __init__(self, place: Path, chance: random.Random) -> None:
        self.place = place
        self.chance = chance
        self.now = BEGIN
        self.turn(0)
        self.store = Store.open(place / "store", clock=lambda: self.now)
        Remote(self.store).bring(NAME, LOCAL)
        self.workers: dict[subprocess.Popen[bytes], Path] = {}
        self.ends: list[int] = []

    def turn(self, hours: float) -> None:
        self.now += hours * HOUR
        aside = self.place / "clock.new"
        aside.write_text(str(self.now))
        aside.replace(self.place / "clock")

    def start(self, *, is_mortal: bool) -> None:
        seed = self.chance.randrange(1 << 30)
        calls = int(self.chance.expovariate(1 / 400)) + 1 if is_mortal else -1
        said = self.place / f"said-{seed}"
        arguments = [str(self.place / "store"), str(self.place / "clock"), str(seed), str(calls)]
        with open(said, "wb") as file:
            worker = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "unit.images.builder.worker", *arguments],
                stdout=file,
                stderr=file,
                env=os.environ | {"PYTHONPATH": str(TESTS)},
            )
        self.workers[worker] = said

    def reap(self) -> None:
        for worker, said in list(self.workers.items()):
            if worker.poll() is not None:
                assert worker.returncode in (0, -signal.SIGKILL), said.read_text()
                self.ends.append(worker.returncode)
                del self.workers[worker]

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.store.close()


@pytest.fixture
def place() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp())
    yield place
    assert not [each for each in mounted() if each.point.is_relative_to(place)]
    shutil.rmtree(place)


@pytest.mark.parametrize("seed", range(2))
def test_builders_that_are_killed_leave_nothing_and_harm_nobody(place: Path, seed: int) -> None:
    world = World(place, random.Random(seed))
    try:
        for number in range(10):
            world.start(is_mortal=number % 3 != 0)
            while len(world.workers) >= 3:
                _wait_for_one(world)
        while world.workers:
            _wait_for_one(world)
        _check_that_all_goes(world)
        assert set(world.ends) == {0, -signal.SIGKILL}
    finally:
        world.close()


def _wait_for_one(world: World) -> None:
    """Let time go by and collect, as long as all build."""
    before = len(world.workers)
    while len(world.workers) == before:
        world.turn(world.chance.choice([0, 0, 0.01, 0.1, 0.5, 25]) if _rarely(world) else 0.001)
        world.store.collect_garbage()
        _let_work(next(iter(world.workers)))
        world.reap()


def _rarely(world: World) -> bool:
    return world.chance.random() < 0.1


def _let_work(worker: subprocess.Popen[bytes]) -> None:
    try:
        worker.wait(0.02)
    except subprocess.TimeoutExpired:
        return


def _check_that_all_goes(world: World) -> None:
    store = world.store
    world.turn(25)
    store.collect_garbage()
    assert store.leases.list() == []
    with store._context.database.reading() as index:
        held = index.execute("SELECT count(*) FROM directories WHERE chain IS NULL").fetchone()
    assert held == (0,)
    for image in store.images.list():
        store.images.delete(image.name)
    store.collect_garbage()
    assert store.content.list() == []
    assert os.listdir(store.directories.place) == []
    assert store._context.paths.ingest_files() == []
