"""Removing old names, and the blobs that no name needs, from whole places.

Mark and sweep. It never deletes a blob that a name needs, for this reason: the names are listed at
an instant T, and listed again after all were read. A blob goes only if no listed name needs it and
it was neither written nor touched within the grace before T. Could an export still name it after T?
Such an export has checked that the blob is there. If the blob was older than the place's shortest
grace then, the export touched it. Either way it was young at that moment, and the grace is longer
than the shortest grace and the time of an export together. See `Sweepable`.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cachexport.content.progress import silent, step
from cachexport.contract.names import BlobTable, Mark, mark
from cachexport.contract.place import Hosting, Sweepable, Unprunable
from cachexport.errors import (
    FailedPrecondition,
    Integrity,
    InvalidInputError,
    Outdated,
    Shared,
)
from cachexport.upkeep.names import apart
from cachexport.upkeep.retention import Retention, Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cachexport.content.progress import Progress
    from cachexport.contract.place import Entry, Place, StoredBlob
    from cachexport.errors import CachexportError
    from cachexport.oci.digest import Digest

_HOUR = 3600.0
GRACE = 48 * _HOUR
"""Seconds: 24 hours in which BuildKit does not touch a blob again, and a day for an export."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Options of a prune."""

    retention: Retention = field(default_factory=Retention)
    grace: float = GRACE
    """Seconds for which a blob that no name needs stays."""
    dry_run: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedName:
    """A name that stays or goes."""

    place: str
    name: str
    time: float | None
    """Seconds since 1970 at which it was last written; None where nobody knows."""
    size: int
    """Bytes of all blobs that it needs."""
    own: int
    """Bytes of the blobs that only it needs, which are freed if it goes alone."""
    is_image: bool
    stays: bool
    reason: str


@dataclass(slots=True, kw_only=True)
class Bytes:
    """A number of blobs, and how many bytes they have."""

    blobs: int = 0
    size: int = 0

    def add(self, size: int) -> None:
        """Count one more."""
        self.blobs += 1
        self.size += size


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """The prune of one place, or of several that share their blobs; done or a dry run."""

    title: str
    now: float
    """Seconds since 1970 by the clock of the place."""
    names: tuple[PrunedName, ...]
    """First those that stay; within each part the newest first."""
    freed: Bytes | None
    """Blobs that were, or would be, deleted. None in a registry, which collects its own garbage."""
    kept: Bytes
    """Blobs that names need."""
    young: Bytes
    """Blobs that no name needs yet, but that an export under way may need."""
    dry_run: bool
    failures: tuple[CachexportError, ...] = ()
    """Errors for names that could not be removed."""

    @property
    def exit_code(self) -> int:
        """The exit code of a command: 0 unless a name could not be removed."""
        return max((error.exit_code for error in self.failures), default=0)


def prune_places(
    places: Sequence[Place], plan: Plan, now: float, progress: Progress = silent
) -> list[Pruning]:
    """Prune places. Places that share their blobs are pruned as one, so give all of those.

    `now` is in seconds since 1970, for places without a clock. Raises InvalidInputError for too
    short a grace, FailedPrecondition where the needs of names or the ages of blobs are uncertain:
    then nothing was deleted. Killed at any point, it leaves every name whole that is still there.
    """
    for place in places:
        if isinstance(place, Unprunable):
            raise FailedPrecondition(f"{place.title} cannot be pruned: {place.why_unprunable}")
        if isinstance(place, Sweepable) and plan.grace < place.shortest_grace:
            raise InvalidInputError(
                f"a grace of {plan.grace / _HOUR:g} h is too short for {place.title}: exports "
                f"count on blobs that are younger than {place.shortest_grace / _HOUR:g} h "
                "(touch_refresh), and need time after that"
            )
    return [_pruned(group, plan, now, progress) for group in _grouped(places)]


def _grouped(places: Sequence[Place]) -> list[list[Place]]:
    groups: dict[str, dict[str, Place]] = {}
    for place in places:
        storage = place.storage if isinstance(place, Sweepable) else place.title
        groups.setdefault(storage, {}).setdefault(place.title, place)
    return [list(group.values()) for group in groups.values()]


def _pruned(places: Sequence[Place], plan: Plan, now: float, progress: Progress) -> Pruning:
    title = " and ".join(place.title for place in places)
    with step(progress, f"pruning {title}"):
        return _prune(title, places, plan, now, progress)


def _prune(
    title: str, places: Sequence[Place], plan: Plan, now: float, progress: Progress
) -> Pruning:
    first = places[0]
    if isinstance(first, Sweepable):
        now = first.now()
    names = _Names(places, progress)
    with step(progress, f"reading the names of {first.title}"):
        names.read()
    verdicts = judge(names.marks, plan.retention, names.table, now)
    if not plan.dry_run:
        with step(progress, "removing names"):
            verdicts |= _withdraw(places, verdicts)
    names.keep([item for item, verdict in verdicts.items() if verdict.stays])
    kept, tally = Bytes(), None
    if isinstance(first, Sweepable):
        tally = _sweep(first, names, now - plan.grace, plan.dry_run, progress)
        kept = tally.kept
    else:
        for number in {number for item in names.marks for number in item.blobs}:
            kept.add(names.table.sizes[number])
    return Pruning(
        title=title,
        now=now,
        names=_pruned_names(verdicts, names.table),
        freed=tally.freed if tally else None,
        kept=kept,
        young=tally.young if tally else Bytes(),
        dry_run=plan.dry_run,
        failures=tuple(found.error for found in verdicts.values() if found.error),
    )


def _withdraw(places: Sequence[Place], verdicts: dict[Mark, Verdict]) -> dict[Mark, Verdict]:
    """Remove the names that go; give new verdicts for those that could not be removed."""
    refused: dict[Mark, Verdict] = {}
    groups: dict[tuple[int, bool], list[Mark]] = {}
    for item, found in verdicts.items():
        if not found.stays:
            key = (places.index(item.place), item.entry.is_apart)
            groups.setdefault(key, []).append(item)
    for (number, _), going in groups.items():
        errors = places[number].withdraw([item.entry for item in going])
        for item in going:
            if item.entry.name in errors:
                refused[item] = _refused(errors[item.entry.name])
    return refused


def _refused(error: CachexportError) -> Verdict:
    if isinstance(error, Outdated):
        return Verdict(True, "written by somebody else just now")
    if isinstance(error, Shared):
        return Verdict(True, str(error))
    return Verdict(True, "could not be removed", error)


@dataclass(slots=True)
class _Names:
    """The names of places, and the blobs that they need."""

    places: Sequence[Place]
    progress: Progress
    table: BlobTable = field(default_factory=BlobTable)
    marks: list[Mark] = field(default_factory=list)
    _versions: dict[tuple[str, str, bool], str] = field(default_factory=dict)

    def read(self) -> list[Mark]:
        """Read the names that are new or have changed since the last call, and give those."""
        fresh = [item for place in self.places for item in self._read(place)]
        self.marks += fresh
        return fresh

    def read_strays(self) -> list[Iterable[int]]:
        """Give the numbers of the blobs of each manifest that none of these names leads to."""
        strays = [sizes for place in self._sweepable for sizes in place.strays(self.places)]
        return [self.table.add(sizes) for sizes in strays]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep exports of this library out of all the places for the block. See Sweepable."""
        with ExitStack() as stack:
            for place in self._sweepable:
                stack.enter_context(place.alone())
            yield

    @property
    def _sweepable(self) -> list[Sweepable]:
        return [place for place in self.places if isinstance(place, Sweepable)]

    def keep(self, marks: Sequence[Mark]) -> None:
        """Forget all other names, so that one that is written again is read, even unchanged."""
        self.marks = list(marks)
        kept = {_key(item.place, item.entry) for item in marks}
        self._versions = {key: version for key, version in self._versions.items() if key in kept}

    def _read(self, place: Place) -> list[Mark]:
        listed = [*place.entries(), *(apart(place) if self._is_first(place) else ())]
        changed = [entry for entry in listed if self._is_news(place, entry)]
        self._versions |= {_key(place, entry): entry.version for entry in changed}
        return mark(place, changed, self.table)

    def _is_first(self, place: Place) -> bool:
        """Say whether no earlier place shares the images of this one."""
        there = [it.apart if isinstance(it, Hosting) else "" for it in self.places]
        number = self.places.index(place)
        return there[number] not in there[:number]

    def _is_news(self, place: Place, entry: Entry) -> bool:
        return self._versions.get(_key(place, entry)) != entry.version


def _key(place: Place, entry: Entry) -> tuple[str, str, bool]:
    return place.title, entry.name, entry.is_apart


@dataclass(slots=True)
class _Tally:
    """Decides which blobs go, and counts all."""

    table: BlobTable
    needed: bytearray
    written_before: float
    freed: Bytes = field(default_factory=Bytes)
    kept: Bytes = field(default_factory=Bytes)
    young: Bytes = field(default_factory=Bytes)

    def is_doomed(self, blob: StoredBlob) -> bool:
        """Say whether a blob goes: no name needs it, and it is too old for an export under way."""
        return blob.modified < self.written_before and not self._is_needed(blob)

    def count(self, blob: StoredBlob, is_gone: bool) -> None:
        """Count a blob."""
        pile = self.kept if self._is_needed(blob) else self.freed if is_gone else self.young
        pile.add(blob.size)

    def _is_needed(self, blob: StoredBlob) -> bool:
        number = self.table.numbers.get(blob.digest)
        return number is not None and bool(self.needed[number])


def _sweep(
    place: Sweepable, names: _Names, written_before: float, dry_run: bool, progress: Progress
) -> _Tally:
    strays = names.read_strays()
    if dry_run:
        tally = _tally(names, strays, written_before)
        with step(progress, "looking for blobs that no name needs"):
            for blob in place.blobs():
                tally.count(blob, tally.is_doomed(blob))
        return tally
    with names.alone():
        with step(progress, "reading what was named meanwhile"):
            names.read()
            strays += names.read_strays()
        tally = _tally(names, strays, written_before)
        with step(progress, "deleting blobs that no name needs"):
            deleted = set()
            for blob, is_gone in place.sweep(tally.is_doomed):
                tally.count(blob, is_gone)
                if is_gone:
                    deleted.add(blob.digest)
        _check(place, names.read(), names.table, deleted)
    return tally


def _tally(names: _Names, strays: Iterable[Iterable[int]], written_before: float) -> _Tally:
    needed = bytearray(len(names.table.sizes))
    for numbers in (*(item.blobs for item in names.marks), *strays):
        for number in numbers:
            needed[number] = 1
    return _Tally(names.table, needed, written_before)


def _check(place: Sweepable, fresh: Sequence[Mark], table: BlobTable, deleted: set[Digest]) -> None:
    """Raise Integrity if a name that was written during the sweep needs a deleted blob."""
    needed = {number for item in fresh for number in item.blobs}
    suspects = {digest for digest in deleted if table.numbers.get(digest) in needed}
    # A later export may have written it again.
    lost = {table.numbers[digest] for digest in suspects - place.present(suspects)}
    broken = [item.entry.name for item in fresh if not lost.isdisjoint(item.blobs)]
    if broken:
        raise Integrity(
            f"{', '.join(broken)}: an export that took longer than the grace named blobs that were "
            "just deleted; export again, or run `cachexport repair`, and give a longer grace"
        )


def _pruned_names(verdicts: dict[Mark, Verdict], table: BlobTable) -> tuple[PrunedName, ...]:
    uses = bytearray(len(table.sizes))
    for item in verdicts:
        for number in item.blobs:
            uses[number] = min(uses[number] + 1, 2)
    names = [
        PrunedName(
            place=item.place.title,
            name=item.entry.name,
            time=item.time,
            size=table.total(item.blobs),
            own=table.total(number for number in item.blobs if uses[number] == 1),
            is_image=item.is_image,
            stays=verdict.stays,
            reason=verdict.reason,
        )
        for item, verdict in verdicts.items()
    ]
    return tuple(sorted(names, key=lambda item: not item.stays))
