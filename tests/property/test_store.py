"""Several processes on one store, their steps in any order, some of them killed in the middle.

A process is a Store of its own on the same directory. A kill is an exception at one of its calls
to the system; from then on every such call fails, so that no cleaning up happens either.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from unit.images.store.mortal import FATE, Killed, mortal
from unit.images.store.rig import Clock, described, manifest_of

from cachexport.content.copy import ingest_bytes
from cachexport.errors import (
    AlreadyExists,
    CachexportError,
    Conflict,
    FailedPrecondition,
    NotFound,
    TransferError,
)
from cachexport.images.store import REFERENCE, Store
from cachexport.oci import mediatype
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cachexport.images.store import Lease, Writer

PROCESSES = st.integers(0, 2)
NAMES = st.sampled_from(["app", "db"])
IMAGES = st.integers(0, 1)
REFS = st.sampled_from(["one", "two"])
LIVES = st.none()
CALLS = st.one_of(LIVES, LIVES, LIVES, st.integers(0, 60))
"""How many calls to the system a process makes before it is killed; mostly it is not."""
WRITTEN = b"0123456789"


def parts(number: int) -> tuple[list[tuple[Descriptor, bytes]], Descriptor, bytes]:
    """Give an image that shares one layer with the next one."""
    raws = [b"config %d" % number, b"layer %d" % number, b"layer %d" % (number + 1)]
    children = [(described(raw), raw) for raw in raws]
    raw = manifest_of(*(desc for desc, _ in children))
    return children, Descriptor.of(raw, mediatype.OCI_MANIFEST), raw


class Process:
    def __init__(self, folder: Path, clock: Clock) -> None:
        self.store = Store.open(folder, clock=clock, timeout=0.0)
        self.pushes: list[Iterator[None]] = []
        self.writers: dict[str, Writer] = {}

    def die(self) -> None:
        """Let go of what the kernel would take back."""
        for writer in self.writers.values():
            writer._file.close()
        for push in self.pushes:
            push.close()
        self.store.close()


class Processes(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        memory = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        self.clock = Clock()
        self.mortality = mortal()
        self.mortality.__enter__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr("cachexport.images.store.ingestion.TIMEOUT", 0.0)
        self.processes = [Process(self.folder, self.clock) for _ in range(3)]
        self.observer = Store.open(self.folder, clock=self.clock)
        self.seen: dict[str, set[Digest]] = {}
        self.names: dict[str, Digest] = {}

    def teardown(self) -> None:
        for process in self.processes:
            process.die()
        self.observer.close()
        self.patch.undo()
        self.mortality.__exit__(None, None, None)
        shutil.rmtree(self.folder)

    @contextmanager
    def run(self, number: int, calls: int | None = None) -> Iterator[Process]:
        """Let a process do something, and be killed in it after so many calls."""
        FATE.left = calls
        try:
            yield self.processes[number]
        except Killed:
            FATE.left = None
            self.restart(number)
            # Whether it was named before the kill is for the index to say.
            self.names = {image.name: image.target.digest for image in self.observer.images.list()}
        finally:
            FATE.left = None

    def restart(self, number: int) -> None:
        self.processes[number].die()
        self.processes[number] = Process(self.folder, self.clock)

    def lease(self) -> Lease | None:
        leases = self.observer.leases.list()
        return leases[0] if leases else None

    # What processes do

    @rule(number=PROCESSES, image=IMAGES, name=NAMES, is_leased=st.booleans())
    def begin_push(self, number: int, image: int, name: str, is_leased: bool) -> None:
        lease = self.lease() if is_leased else None
        process = self.processes[number]
        process.pushes.append(self.push(process.store, image, name, lease))

    @rule(number=PROCESSES, image=IMAGES, name=NAMES)
    def push_whole(self, number: int, image: int, name: str) -> None:
        for _ in self.push(self.processes[number].store, image, name, self.lease()):
            pass

    @rule(number=PROCESSES, steps=st.integers(1, 6), calls=CALLS)
    def go_on(self, number: int, steps: int, calls: int | None) -> None:
        with self.run(number, calls) as process:
            for _ in range(steps):
                if process.pushes and next(process.pushes[0], self) is self:
                    process.pushes.pop(0)

    def push(self, store: Store, image: int, name: str, lease: Lease | None) -> Iterator[None]:
        children, manifest, raw = parts(image)
        content = store.content if lease is None else store.content.under(lease)
        try:
            missing = content.missing([desc for desc, _ in children])
            yield
            for desc, blob in children:
                if desc.digest in missing:
                    ingest_bytes(content, desc, blob)
                    yield
            ingest_bytes(content, manifest, raw)
            yield
            self.name(store, name, manifest)
        except CachexportError as error:
            self.check_excuse(error, lease)

    def name(self, store: Store, name: str, target: Descriptor) -> None:
        try:
            store.images.create(name, target)
        except AlreadyExists:
            store.images.update(name, target)
        self.names[name] = target.digest

    def check_excuse(self, error: CachexportError, lease: Lease | None) -> None:
        """A push fails only when it has to wait, or nothing held what it put in."""
        FATE.left = None
        cause = error.__cause__ if isinstance(error, TransferError) else error
        if isinstance(cause, Conflict):
            return
        assert isinstance(cause, (NotFound, FailedPrecondition)), error
        if lease is not None:
            assert lease.id not in [live.id for live in self.live_leases()], error

    def live_leases(self) -> list[Lease]:
        leases = self.observer.leases.list()
        return [each for each in leases if each.expires is None or each.expires > self.clock.now]

    @rule(number=PROCESSES, calls=CALLS)
    def collect(self, number: int, calls: int | None) -> None:
        with self.run(number, calls) as process:
            process.store.collect_garbage()

    @rule(number=PROCESSES, pause=st.integers(0, 20), steps=st.integers(1, 6))
    def collect_while_another_goes_on(self, number: int, pause: int, steps: int) -> None:
        """The other one is stopped only where it would have to wait."""
        other = self.processes[(number + 1) % 3]

        def others() -> None:
            for _ in range(steps):
                if other.pushes and next(other.pushes[0], self) is self:
                    other.pushes.pop(0)

        with self.run(number) as process:
            FATE.pause, FATE.others = pause, others
            try:
                process.store.collect_garbage()
            finally:
                FATE.pause = None

    @rule(number=PROCESSES, name=NAMES, calls=CALLS)
    def delete_name(self, number: int, name: str, calls: int | None) -> None:
        with self.run(number, calls) as process, suppress(NotFound):
            process.store.images.delete(name)
            self.names.pop(name)

    @rule(number=PROCESSES, seconds=st.sampled_from([None, 10, 100]), calls=CALLS)
    def take_lease(self, number: int, seconds: float | None, calls: int | None) -> None:
        with self.run(number, calls) as process:
            process.store.leases.create(seconds=seconds)

    @rule(number=PROCESSES, calls=CALLS)
    def delete_lease(self, number: int, calls: int | None) -> None:
        lease = self.lease()
        if lease is not None:
            with self.run(number, calls) as process:
                process.store.leases.delete(lease.id)

    @rule(number=PROCESSES, ref=REFS, size=st.integers(0, 4), calls=CALLS)
    def write(self, number: int, ref: str, size: int, calls: int | None) -> None:
        if any(ref in process.writers for process in self.processes[:number]):
            return
        with self.run(number, calls) as process:
            if ref not in process.writers:
                with suppress(CachexportError):
                    process.writers[ref] = process.store.content.writer(ref, described(WRITTEN))
            writer = process.writers.get(ref)
            if writer is not None:
                writer.write(WRITTEN[writer.offset :][:size])
                if writer.offset == len(WRITTEN):
                    assert writer.commit().size == len(WRITTEN)
                    del process.writers[ref]

    @rule(number=PROCESSES)
    def kill(self, number: int) -> None:
        self.restart(number)

    @rule(seconds=st.sampled_from([1, 10, 90_000]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    # What holds

    @invariant()
    def names_are_what_they_were_told_to_be(self) -> None:
        images = self.observer.images.list()
        assert {image.name: image.target.digest for image in images} == self.names

    @invariant()
    def all_that_a_name_leads_to_is_whole(self) -> None:
        for image in self.observer.images.list():
            for digest in self.reached({image.target.digest}):
                self.check(digest)

    @invariant()
    def what_a_live_lease_held_is_whole(self) -> None:
        held = {}
        for lease in self.live_leases():
            resources = self.observer.leases.resources(lease.id)
            for digest in resources:
                self.check(digest)
            there = self.observer.content.sizes(self.reached(resources))
            assert self.seen.get(lease.id, set()) <= set(there)
            held[lease.id] = set(there)
        self.seen = held

    @invariant()
    def what_is_there_is_whole(self) -> None:
        for info in self.observer.content.list():
            self.check(info.digest)

    def reached(self, roots: set[Digest]) -> set[Digest]:
        """Ask the labels, not the code that collects."""
        found, pending = set(), set(roots)
        while pending:
            digest = pending.pop()
            found.add(digest)
            with suppress(NotFound):
                labels = self.observer.content.labels(digest)
                targets = {Digest.parse(v) for k, v in labels.items() if k.startswith(REFERENCE)}
                pending |= targets - found
        return found

    def check(self, digest: Digest) -> None:
        info = self.observer.content.info(digest)
        reader = self.observer.content.open(Descriptor(digest=digest, size=info.size))
        assert Digest.of(reader.read(1 << 20)) == digest
        reader.close()


TestProcesses = Processes.TestCase
TestProcesses.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
