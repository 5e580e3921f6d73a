"""Real processes on one store, killed where they happen to be."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

import pytest
from support import TESTS
from unit.images.store.rig import Clock, described, opened, read

from cachexport.errors import NotFound
from cachexport.images.store import REFERENCE
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cachexport.images.store import Store

WORK = """
import itertools, random, sys, time
from pathlib import Path
from cachexport.errors import NotFound
from cachexport.images.store import Store
from unit.images.store.rig import put_image

def say(*words):
    print(*words, flush=True)

directory, name, seed = sys.argv[1:]
chance = random.Random(seed)
store = Store.open(Path(directory), clock=time.time)
for turn in itertools.count():
    with store.leases.held(seconds=3600) as lease:
        image = put_image(store.content.under(lease), chance.randrange(3))
        say("naming", image.manifest.digest)
        try:
            store.images.update(name, image.manifest)
        except NotFound:
            store.images.create(name, image.manifest)
        say("named", image.manifest.digest)
    if chance.random() < 0.5:
        say("collecting")
        store.collect_garbage()
    if chance.random() < 0.2:
        say("naming", "nothing")
        store.images.delete(name)
        say("named", "nothing")
"""
WRITE = """
import sys, time
from pathlib import Path
from cachexport.images.store import Store

store = Store.open(Path(sys.argv[1]), clock=time.time)
writer = store.content.writer("pull")
print(writer.offset, flush=True)
while True:
    writer.write(b"0123456789")
    print(writer.offset, flush=True)
"""


def started(script: str, *args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *args]
    env = {**os.environ, "PYTHONPATH": str(TESTS)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)


def killed(process: subprocess.Popen[str], lines: int) -> list[str]:
    """Kill it after it has said so many lines; give all that it said."""
    output: IO[str] | None = process.stdout
    assert output is not None
    said = [output.readline() for _ in range(lines)]
    assert all(said)
    process.kill()
    said += output.readlines()
    process.wait()
    output.close()
    return [line.strip() for line in said]


@dataclass
class Worker:
    """One after another under the same name; `may_be` is what that may stand for now."""

    name: str
    directory: Path
    may_be: set[str] = field(default_factory=lambda: {"nothing"})

    def start(self, seed: int) -> subprocess.Popen[str]:
        return started(WORK, str(self.directory), self.name, str(seed))

    def hear(self, said: list[str]) -> None:
        for line in said:
            if line.startswith("naming "):
                self.may_be |= {line.split()[1]}
            elif line.startswith("named "):
                self.may_be = {line.split()[1]}


def reached(store: Store, digest: Digest) -> Iterator[Digest]:
    yield digest
    for key, value in store.content.labels(digest).items():
        if key.startswith(REFERENCE):
            yield from reached(store, Digest.parse(value))


def check(store: Store, worker: Worker) -> None:
    try:
        target = str(store.images.get(worker.name).target.digest)
    except NotFound:
        target = "nothing"
    assert target in worker.may_be
    if target != "nothing":
        for digest in reached(store, Digest.parse(target)):
            info = store.content.info(digest)
            content = read(store.content, Descriptor(digest=digest, size=info.size))
            assert Digest.of(content) == digest


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_killed_names_lead_to_whole_content(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    directory = tmp_path / "store"
    workers = [Worker(f"app-{number}", directory) for number in range(3)]
    with opened(directory, Clock()) as store:
        for _ in range(3):
            processes = [worker.start(chance.randrange(1 << 30)) for worker in workers]
            for worker, process in zip(workers, processes, strict=True):
                worker.hear(killed(process, chance.randrange(3, 30)))
            for worker in workers:
                check(store, worker)
        # Nobody is left whose leases count: what stays is what the names need.
        for lease in store.leases.list():
            store.leases.delete(lease.id)
        store.collect_garbage()
        for worker in workers:
            check(store, worker)
        needed = {
            digest
            for image in store.images.list()
            for digest in reached(store, image.target.digest)
        }
        assert {info.digest for info in store.content.list()} == needed
        assert set(store._context.paths.digests()) == needed
        assert store._context.paths.ingest_files() == []


def test_a_killed_writer_is_gone_on_with_where_it_was(tmp_path: Path) -> None:
    last = 0
    for lines in (2, 20, 7):
        said = killed(started(WRITE, str(tmp_path)), lines)
        assert int(said[0]) >= last
        last = int(said[-1])
    with opened(tmp_path) as store, store.content.writer("pull") as writer:
        assert writer.offset in (last, last + 10)
        expected = (b"0123456789" * writer.offset)[: writer.offset]
        assert writer.commit().digest == described(expected).digest
