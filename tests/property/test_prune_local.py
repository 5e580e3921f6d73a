"""Exports, merges, prunes and deaths in any order, in a directory.

Time goes by moving the times of all files back. Whatever happens, every blob that a name needs is
there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cachexport.backends.local import backend
from cachexport.backends.local.layout import Layout
from cachexport.backends.local.place import LocalPlace
from cachexport.content.copy import copy_blob, ingest_bytes
from cachexport.contract.discovery import find_backend
from cachexport.contract.spec import Spec, parse_spec
from cachexport.errors import Conflict
from cachexport.testing.samples import small_cache
from cachexport.transfer.write import write
from cachexport.upkeep.prune import Plan, prune_places
from cachexport.upkeep.retention import Retention

if TYPE_CHECKING:
    from cachexport.backends.local.target import LocalTarget
    from cachexport.model.envelope.cache import WrappedCache

HOUR = 3600.0
NAMES = st.sampled_from(["main", "pr-1", "pr-2"])
STACKS = st.lists(st.integers(0, 6), min_size=1, max_size=3, unique=True).map(tuple)


class Directory(RuleBasedStateMachine):
    """One directory, and exports of which some hold on in the middle."""

    def __init__(self) -> None:
        super().__init__()
        # Where there is no disk below, a test that waits for the disk all the time is quick.
        memory = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        self.hours = 0
        self.paused: list[tuple[LocalTarget, WrappedCache]] = []

    def target(self, name: str, merge: bool = False) -> LocalTarget:
        attrs = {"dest": str(self.folder), "tag": name, "merge": str(merge).lower()}
        return find_backend("local").target(Spec("local", attrs))

    def cache(self, stack: tuple[int, ...]) -> WrappedCache:
        return small_cache(*stack, seconds=self.hours * 3600)

    @rule(name=NAMES, stack=STACKS, merge=st.booleans())
    def export(self, name: str, stack: tuple[int, ...], merge: bool) -> None:
        target = self.target(name, merge)
        assert write(self.cache(stack), target, threads=1)
        target.close()

    @rule(name=NAMES, stack=STACKS)
    def begin(self, name: str, stack: tuple[int, ...]) -> None:
        """Look what is there, write what is not, and go no further."""
        cache, target = self.cache(stack), self.target(name)
        missing = target.ingester.missing(cache.layers)
        for desc in cache.layers:
            if desc.digest in missing:
                copy_blob(cache.provider, target.ingester, desc)
        ingest_bytes(target.ingester, cache.wrapped.config_descriptor, cache.wrapped.config)
        ingest_bytes(target.ingester, cache.wrapped.descriptor, cache.wrapped.manifest)
        self.paused.append((target, cache))

    @rule(is_killed=st.booleans())
    def finish(self, is_killed: bool) -> None:
        if self.paused:
            target, cache = self.paused.pop(0)
            if not is_killed:
                target.publish(cache)
            target.close()

    @rule(hours=st.sampled_from([1, 25, 49, 100]))
    def wait(self, hours: int) -> None:
        self.hours += hours
        for path in self.folder.rglob("*"):
            before = path.stat()
            back = before.st_mtime - hours * HOUR
            os.utime(path, (back, back))

    @rule(
        keep=st.one_of(st.none(), st.integers(0, 2)),
        max_age=st.one_of(st.none(), st.sampled_from([HOUR, 48 * HOUR])),
        most=st.one_of(st.none(), st.sampled_from([0, 500])),
        grace=st.sampled_from([0.0, 48 * HOUR]),
    )
    def prune(
        self, keep: int | None, max_age: float | None, most: int | None, grace: float
    ) -> None:
        retention = Retention(keep_last=keep, max_age=max_age, max_bytes=most)
        self.run_prune(Plan(retention=retention, grace=grace, dry_run=False))

    @rule(after=st.integers(0, 6))
    def prune_and_die(self, after: int) -> None:
        """Die after some blobs are deleted."""

        class Dying(LocalPlace):
            def sweep(self, is_doomed, /):  # type: ignore[no-untyped-def]
                for number, swept in enumerate(super().sweep(is_doomed)):
                    if number == after:
                        raise KeyboardInterrupt
                    yield swept

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("cachexport.backends.local.place.LocalPlace", Dying)
            try:
                self.run_prune(Plan(retention=Retention(keep_last=1), grace=0.0, dry_run=False))
            except KeyboardInterrupt:
                return

    def run_prune(self, plan: Plan) -> None:
        if not (self.folder / "index.json").exists():
            return
        spec = parse_spec(f"type=local,src={self.folder}")
        place = backend.place(spec)
        place.timeout = 0.0
        if self.paused:
            with pytest.raises(Conflict, match="locked"):
                prune_places([place], plan, 0)
        else:
            prune_places([place], plan, 0)

    @invariant()
    def nothing_that_a_name_needs_is_missing(self) -> None:
        layout = Layout(self.folder)
        if not layout.index.exists():
            return
        place = backend.place(parse_spec(f"type=local,src={self.folder}"))
        for entry in place.entries():
            needed = place.contents(entry).sizes
            gone = [digest for digest in needed if not layout.blob(digest).exists()]
            assert not gone, (entry.name, gone)

    def teardown(self) -> None:
        for target, _ in self.paused:
            target.close()
        shutil.rmtree(self.folder)


TestDirectory = Directory.TestCase
TestDirectory.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
