"""Repairing names: restore their blobs from other places, or drop the results without blobs."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from cachexport.content.progress import silent, step
from cachexport.contract.discovery import find_backend
from cachexport.contract.place import Sweepable
from cachexport.contract.reading import (
    Current,
)
from cachexport.errors import ChainError, ContentError, NotFound, WireFormat
from cachexport.model.chains.tie import untied
from cachexport.transfer.merge import until_current
from cachexport.transfer.write import rewrite
from cachexport.upkeep.mending import Mended, Mending, RestoreSources, is_spoiled, restore_envelope
from cachexport.upkeep.verify import verify_cache

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cachexport.content.progress import Progress
    from cachexport.content.protocols import Provider
    from cachexport.contract.backend import Target
    from cachexport.contract.place import Entry, Place
    from cachexport.model.config import CacheConfig
    from cachexport.model.envelope.cache import WrappedCache
    from cachexport.upkeep.verify import KnownFaults


class RepairOutcome(StrEnum):
    """How the repair of a name ended."""

    SOUND = "sound"
    REPAIRED = "repaired"
    REMOVED = "removed"
    """No result could be kept."""
    DAMAGED = "damaged"
    """It cannot be read as a cache, and was left as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairPlan:
    """Options of a repair."""

    deep: bool = False
    """Read every layer, as verifying does."""
    origins: Sequence[Provider] = ()
    """Other places to restore blobs from, in this order."""
    drop_damaged: bool = False
    """Remove names that cannot be read as a cache at all."""
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """The repair of a name, done or, in a dry run, planned."""

    name: str
    outcome: RepairOutcome
    faults: tuple[str, ...] = ()
    """What was wrong, as sentences."""
    restored: int = 0
    """Blobs that were copied from other places."""
    lost_results: int = 0
    lost_records: int = 0


def repair_names(
    place: Place, entries: Iterable[Entry], plan: RepairPlan, progress: Progress = silent
) -> list[Repair]:
    """Repair listed names, and say what was done.

    A name that somebody else writes meanwhile is read again, not overwritten. Names of other things
    than caches, or that are gone by now, are left out. Raises what reading or writing raises.
    """
    repairing = _Repairing(place, plan, progress, {})
    found = []
    for entry in entries:
        with step(progress, f"repairing {entry.name} in {place.title}"):
            found.append(repairing.repair(entry))
    return [item for item in found if item is not None]


@dataclass(frozen=True, slots=True)
class _Repairing:
    place: Place
    plan: RepairPlan
    progress: Progress
    known: KnownFaults

    def repair(self, entry: Entry) -> Repair | None:
        """Repair a name; start over each time somebody else writes it meanwhile."""
        current: Entry | None = entry

        def attempt() -> Repair | None:
            nonlocal current
            listed, current = current, None
            if listed is None:  # only a new listing shows the version that outdated it
                listed = next((it for it in self.place.entries() if it.name == entry.name), None)
            return self._run(listed) if listed else None

        return until_current(attempt)

    def _run(self, entry: Entry) -> Repair | None:
        spec = self.place.target(entry.name, force=True)
        with closing(find_backend(spec.type).target(spec)) as target:
            damage = self._damage(entry)
            restored = self._restore_envelope(entry, target) if damage else 0
            if restored and self.plan.dry_run:
                return _restored(entry, damage, restored)
            was, damage = damage, self._damage(entry) if restored else damage
            cache = self.place.salvage(entry)
            if cache is None:
                return self._unusable(entry, damage) if damage else None
            found = self._mend(entry, cache, damage, target)
            if not restored or damage:
                return found
            if found.outcome is RepairOutcome.SOUND:
                return _restored(entry, was, restored)
            return replace(found, faults=(was, *found.faults), restored=found.restored + restored)

    def _damage(self, entry: Entry) -> str:
        try:
            self.place.contents(entry)
        except NotFound:
            return ""
        except (ChainError, ContentError, WireFormat) as error:
            return str(error)
        return ""

    def _restore_envelope(self, entry: Entry, target: Target) -> int:
        origins, digests = RestoreSources(self.plan.origins, self.progress), entry.version.split()
        return restore_envelope(origins, digests, target.ingester, dry_run=self.plan.dry_run)

    def _unusable(self, entry: Entry, damage: str) -> Repair:
        if not self.plan.drop_damaged:
            return Repair(name=entry.name, outcome=RepairOutcome.DAMAGED, faults=(damage,))
        self._withdraw(entry)
        return Repair(name=entry.name, outcome=RepairOutcome.REMOVED, faults=(damage,))

    def _withdraw(self, entry: Entry) -> None:
        if not self.plan.dry_run:
            for error in self.place.withdraw([entry]).values():
                raise error

    def _mend(self, entry: Entry, cache: WrappedCache, damage: str, target: Target) -> Repair:
        verified = verify_cache(
            cache, deep=self.plan.deep, progress=self.progress, known=self.known
        )
        if not verified.faults and not damage:
            return Repair(name=entry.name, outcome=RepairOutcome.SOUND)
        origins = RestoreSources(self.plan.origins, self.progress)
        mending = Mending(
            cache=cache, faults=verified.faults, origins=origins, dry_run=self.plan.dry_run
        )
        mended = mending.run(target.ingester)
        outcome = self._publish(entry, cache, mended, target)
        before, after = untied(cache.config), untied(mended.cache.config)
        texts = [f"{it.blob}: {it.text}" if it.blob else it.text for it in verified.faults]
        return Repair(
            name=entry.name,
            outcome=outcome,
            faults=tuple(([damage] if damage else []) + texts),
            restored=mended.restored,
            lost_results=_results(before) - _results(after),
            lost_records=len(before.records) - len(after.records),
        )

    def _publish(
        self, entry: Entry, cache: WrappedCache, mended: Mended, target: Target
    ) -> RepairOutcome:
        if not mended.cache.config.layers:
            self._withdraw(entry)
            return RepairOutcome.REMOVED
        if not self.plan.dry_run:
            rewrite(mended.cache, target, Current(version=entry.version), self.progress)
            if isinstance(self.place, Sweepable):
                # An export that finds such a blob counts on it without reading it. But somebody
                # may have written it again, whole: only those still damaged are deleted.
                provider = cache.provider
                bad = [digest for digest in mended.spoiled if is_spoiled(provider, digest)]
                self.place.delete(bad)
        return RepairOutcome.REPAIRED


def _restored(entry: Entry, damage: str, blobs: int) -> Repair:
    outcome = RepairOutcome.REPAIRED
    return Repair(name=entry.name, outcome=outcome, faults=(damage,), restored=blobs)


def _results(config: CacheConfig) -> int:
    return sum(len(item.results) + len(item.chained_results) for item in config.records)
