"""Exports, merges, imports, prunes and deaths in any order, in a store with a clock of its own.

Whatever happens, every blob that a name needs is there.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support.clock import go_by

from cachexport.backends.objects.layout import Blobs, Keys
from cachexport.backends.objects.names import load_named
from cachexport.backends.objects.place import ObjectPlace
from cachexport.backends.objects.target import ObjectTarget
from cachexport.contract.export import CommonExport
from cachexport.contract.spec import Spec
from cachexport.testing.memory import MemoryObjects
from cachexport.testing.samples import small_cache
from cachexport.transfer.write import write
from cachexport.upkeep.prune import Plan, prune_places
from cachexport.upkeep.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = 3600.0
TOUCH_REFRESH, LONGEST_EXPORT = 24 * HOUR, 23 * HOUR
GRACE = TOUCH_REFRESH + LONGEST_EXPORT + HOUR
KEYS = Keys(blobs="x/blobs/", names="x/manifests/")
NAMES = st.sampled_from(["main", "pr-1", "pr-2", "release"])
STACKS = st.lists(st.integers(0, 7), min_size=1, max_size=4, unique=True).map(tuple)


class Killed(BaseException):
    """The process died."""


@dataclass
class Watched(MemoryObjects):
    """A store that does something else before a call, or at once dies."""

    before: dict[int, Callable[[], None]] = field(default_factory=dict)
    calls: int = 0
    parallelism: int = 1

    def watch(self, before: dict[int, Callable[[], None]]) -> None:
        self.before, self.calls = before, 0

    def __getattribute__(self, name: str) -> Any:
        if name in _CALLS and self.before:
            self.calls += 1
            self.before.pop(self.calls, lambda: None)()
        return super().__getattribute__(name)


# Nothing comes before `delete_all`: it is sent right after a look at the clock, and an export waits
# until it has been done, as backends/objects/sweep.py has it.
_CALLS = {"head", "list_page", "load", "read", "write", "replace", "touch", "delete"}


@dataclass
class Pausing:
    """An export that has looked and written, and has not published yet."""

    publish: Callable[[], object]
    deadline: float


class Store(RuleBasedStateMachine):
    """One bucket, many exports, and prunes between and within them."""

    def __init__(self) -> None:
        super().__init__()
        self.client = Watched()
        self.paused: list[Pausing] = []

    def content(self) -> Blobs:
        go_by(self.client)
        return Blobs(client=self.client, keys=KEYS)

    def target(self, name: str, merge: bool = False) -> ObjectTarget:
        return ObjectTarget(CommonExport(merge=merge), self.content(), name, force=False)

    def place(self) -> ObjectPlace:
        def spec(name: str) -> Spec:
            return Spec("memory", {"name": name})

        return ObjectPlace(content=self.content(), root="x/", source=spec, target=spec)

    @rule(name=NAMES, stack=STACKS, merge=st.booleans())
    def export(self, name: str, stack: tuple[int, ...], merge: bool) -> None:
        cache = small_cache(*stack, seconds=int(self.client.time))
        assert write(cache, self.target(name, merge), threads=1)

    @rule(name=NAMES, stack=STACKS)
    def begin(self, name: str, stack: tuple[int, ...]) -> None:
        """Do all of an export but its last step, which may come much later, or never."""
        cache = small_cache(*stack, seconds=int(self.client.time))
        target = self.target(name)
        published: list[Callable[[], object]] = []

        class Later(ObjectTarget):
            def publish(self, cache: Any, /, replacing: Any = None) -> Any:
                published.append(lambda: target.publish(cache, replacing=replacing))
                return cache

        later = Later(CommonExport(), self.content(), name, force=False)
        write(cache, later, threads=1)
        self.paused.append(Pausing(published[0], self.client.time + LONGEST_EXPORT))

    @rule(at=st.integers(0, 3))
    def finish(self, at: int) -> None:
        if self.paused:
            pausing = self.paused.pop(at % len(self.paused))
            if self.client.time <= pausing.deadline:
                pausing.publish()

    @rule(hours=st.sampled_from([1, 5, 12, 23, 25, 49, 100]))
    def wait(self, hours: int) -> None:
        self.client.time += hours * HOUR

    @rule(
        keep=st.one_of(st.none(), st.integers(0, 3)),
        max_age=st.one_of(st.none(), st.sampled_from([HOUR, 48 * HOUR])),
        most=st.one_of(st.none(), st.sampled_from([0, 300, 2000])),
    )
    def prune(self, keep: int | None, max_age: float | None, most: int | None) -> None:
        self.run_prune(Retention(keep_last=keep, max_age=max_age, max_bytes=most))

    @rule(at=st.integers(1, 30))
    def prune_and_die(self, at: int) -> None:
        def die() -> None:
            raise Killed

        self.client.watch({at: die})
        with suppress(Killed):
            self.run_prune(Retention(keep_last=1))
        self.client.watch({})

    @rule(
        at=st.integers(1, 30),
        name=NAMES,
        stack=STACKS,
        merge=st.booleans(),
        which=st.integers(0, 3),
    )
    def prune_while_others_export(
        self, at: int, name: str, stack: tuple[int, ...], merge: bool, which: int
    ) -> None:
        def others() -> None:
            self.client.watch({})
            self.export(name, stack, merge)
            self.finish(which)

        self.client.watch({at: others})
        self.run_prune(Retention(keep_last=1))
        self.client.watch({})

    def run_prune(self, retention: Retention) -> None:
        prune_places([self.place()], Plan(retention=retention, grace=GRACE, dry_run=False), 0)

    @invariant()
    def nothing_that_a_name_needs_is_missing(self) -> None:
        objects = self.client.objects
        for key in [key for key in objects if key.startswith(KEYS.names)]:
            cache, _ = load_named(self.content(), key)
            wrapped = cache.wrapped
            needed = (*cache.layers, wrapped.config_descriptor, wrapped.descriptor)
            gone = [desc.digest for desc in needed if KEYS.blob(desc.digest) not in objects]
            assert not gone, (key, gone)


TestStore = Store.TestCase
TestStore.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
