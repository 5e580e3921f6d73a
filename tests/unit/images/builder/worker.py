"""A process that builds in a shared store, and is killed at one of its calls to the system.

It ends with an error as soon as something that it uses is not as it should be.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unit.images.builder.test_classic import AMD, NAME, Remote
from unit.images.store.rig import read

from cachexport.content.copy import ingest_bytes  # noqa: F401 - loaded before it is mortal
from cachexport.content.files import mounts
from cachexport.errors import CachexportError
from cachexport.images import empty_config
from cachexport.images.builder import Policy, Snapshots, Way
from cachexport.images.builder.classic import ClassicBuilder
from cachexport.images.store import Store
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from cachexport.images.builder.classic import ClassicImage, ReleasableLayer, WritableLayer

CALLS = ("mkdir", "unlink", "rmdir", "replace", "fsync", "makedirs", "utime", "link", "symlink")
LEFT = [0]


def strike() -> None:
    LEFT[0] -= 1
    if not LEFT[0]:
        os.kill(os.getpid(), signal.SIGKILL)


def around(call: Any, *args: Any, **kwargs: Any) -> Any:
    strike()
    answer = call(*args, **kwargs)
    strike()
    return answer


class MortalConnection(sqlite3.Connection):
    def execute(self, statement: str, /, *args: Any) -> sqlite3.Cursor:
        if statement != "COMMIT" and not statement.startswith("BEGIN"):
            return super().execute(statement, *args)
        answer: sqlite3.Cursor = around(super().execute, statement)
        return answer


def make_mortal(calls: int) -> None:
    LEFT[0] = calls
    for name in CALLS:
        setattr(os, name, partial(around, getattr(os, name)))
    mounts._call = partial(around, mounts._call)
    sqlite3.connect = partial(sqlite3.connect, factory=MortalConnection)


class Worker:
    """Makes images, one after another, each of some layers."""

    def __init__(self, store: Store, way: Way, chance: random.Random, name: str) -> None:
        self.store = store
        self.chance = chance
        self.name = name
        self.built = 0
        self.mine: list[str] = []
        snapshots = Snapshots.open(store, way=way)
        self.builder = ClassicBuilder(
            store, snapshots, Remote(store), platform=AMD, policy=Policy(latest=1000)
        )

    def build(self) -> None:
        self.built += 1
        with ExitStack() as stack:
            ref = self.chance.choice(["", NAME])
            image, layer = self.builder.get_image_and_releasable_layer(ref)
            stack.callback(layer.release)
            files = {"base": "local", "more": "local"} if image else {}
            for number in range(self.chance.randint(1, 3)):
                work = layer.new_rw_layer()
                stack.callback(work.release)
                self.check_files(work, files)
                name = f"{self.name} {self.built} {number}"
                (work.root / name).write_text(name)
                files = files | {name: name}
                layer = self.committed(work, layer, stack)
                self.check_files(work, files)
                config = image.config if image else empty_config("amd64")
                image = self.builder.create_image(config, image, layer)
                self.mine.append(image.name)
                self.check_image(image)
                self.check_files(work, files)

    def committed(
        self, work: WritableLayer, below: ReleasableLayer, stack: ExitStack
    ) -> ReleasableLayer:
        layer = work.commit()
        stack.callback(layer.release)
        if self.chance.random() < 0.5:
            below.release()
        if self.chance.random() < 0.5:
            self.store.collect_garbage()
        if self.chance.random() < 0.3:
            work.release()
        return layer

    def check_files(self, work: WritableLayer, files: dict[str, str]) -> None:
        if not work.root.exists():
            return  # released above
        found = {path.name: path.read_text() for path in work.root.iterdir()}
        assert found == files, f"{found} instead of {files}"

    def check_image(self, image: ClassicImage) -> None:
        for desc in (image.descriptor, *image.layers):
            assert Digest.of(read(self.store.content, desc)) == desc.digest
        if self.chance.random() < 0.3:
            self.store.images.delete(self.mine.pop())

    def has_expired(self, began: float) -> bool:
        """Whether a lease of an hour that was taken since then may have."""
        return self.store.leases._clock() >= began + 3600


def main(directory: str, clock: str, seed: str, calls: str) -> None:
    chance = random.Random(int(seed))
    way = (Way.AUTO, Way.COPY)[int(seed) % 2]

    def now() -> float:
        return float(Path(clock).read_text())

    make_mortal(int(calls))
    with Store.open(Path(directory), clock=now) as store:
        worker = Worker(store, way, chance, f"w{seed}")
        while worker.built < 4:
            began = now()
            try:
                worker.build()
            except CachexportError:
                if not worker.has_expired(began):
                    raise


if __name__ == "__main__":
    main(*sys.argv[1:])
