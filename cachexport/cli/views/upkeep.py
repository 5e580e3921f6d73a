"""What verifying, measuring, repairing and compacting caches found and did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Self

import click

from cachexport.cli.console import in_line, printable
from cachexport.cli.views.document import filled
from cachexport.cli.views.text import aligned, bold, counted, instant, title
from cachexport.contract.units import readable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.transfer.fit import Loss
    from cachexport.upkeep.compact import Compacted, Extent
    from cachexport.upkeep.gate import DemandCheck
    from cachexport.upkeep.repair import Repair
    from cachexport.upkeep.verify import CacheFault, Verification


def verification_lines(found: Sequence[Verification]) -> Iterator[str]:
    """Give for every cache its faults, and a line that sums it up."""
    for number, item in enumerate(found, 1):
        if item.name:
            yield bold(in_line(item.name))
        elif len(found) > 1:
            yield bold(title(number, len(found)))
        for fault in item.faults:
            yield _fault_row(fault)
        blobs = f"{counted(item.blobs, 'blob')}, {readable(item.size)}"
        told = counted(len(item.faults), "fault") if item.faults else "no fault"
        yield f"{counted(item.records, 'record')}, {blobs}: {told}"


def _fault_row(fault: CacheFault) -> str:
    kind = click.style(f"{fault.kind:<13}", fg="red")
    where = f"{fault.blob}: " if fault.blob and fault.blob not in fault.text else ""
    return f"{kind}  {printable(where + fault.text)}"


def gate_lines(checks: Sequence[DemandCheck]) -> Iterator[str]:
    """Give a line for each check."""
    for check in checks:
        outcome, color = ("failed", "red") if check.holds is False else ("ok", "green")
        if check.holds is None:
            outcome, color = "skipped", "yellow"
        yield f"{click.style(f'{outcome:<7}', fg=color)}  {check.name:<14}  {check.text}"


def all_hold(checks: Sequence[DemandCheck]) -> bool:
    """Tell whether no check failed."""
    return all(check.holds is not False for check in checks)


_COLOURS = {"sound": "green", "repaired": "yellow", "removed": "red", "damaged": "red"}
_MOST_FAULTS = 10


def repair_lines(found: Sequence[Repair], *, dry_run: bool) -> Iterator[str]:
    """Give for every name what became of it, or would, and what was wrong."""
    for item in found:
        outcome = click.style(f"{item.outcome:<8}", fg=_COLOURS[item.outcome])
        yield f"{outcome}  {in_line(item.name)}{_figures(item)}"
        for fault in item.faults[:_MOST_FAULTS]:
            yield f"          {printable(fault)}"
        if len(item.faults) > _MOST_FAULTS:
            yield f"          and {len(item.faults) - _MOST_FAULTS:,} more faults"
    if dry_run:
        yield "nothing was changed; without --dry-run this is done"


def _figures(item: Repair) -> str:
    figures = (
        (item.restored, "blob", "restored"),
        (item.lost_results, "result", "left out"),
        (item.lost_records, "record", "left out"),
    )
    told = [f"{counted(number, noun)} {verb}" for number, noun, verb in figures if number]
    return f": {', '.join(told)}" if told else ""


_COMPACTED = ("", "BEFORE", "AFTER")


def compaction_lines(found: Compacted, is_dry: bool) -> Iterator[str]:
    """Give how large the cache was and is, and what was dropped, or would be."""
    before, after = _cells(found.before), _cells(found.after)
    rows = [(name, before[name], after[name]) for name in before]
    yield from aligned([_COMPACTED, *rows], {"BEFORE", "AFTER"})
    yield ""
    yield from _dropped(found.loss, "would be dropped" if is_dry else "dropped")


def _cells(extent: Extent) -> dict[str, str]:
    return {
        "records": f"{extent.records:,}",
        "results": f"{extent.results:,}",
        "layers": f"{extent.layers:,}",
        "blobs": readable(extent.blobs),
        "config": f"{extent.config:,} bytes",
        "manifest": f"{extent.manifest:,} bytes",
    }


def _dropped(loss: Loss, verb: str) -> Iterator[str]:
    if not loss.records and not loss.results and not loss.layers:
        yield f"nothing {verb}"
        return
    reasons = {"covered": loss.covered, "dead": loss.dead, "old": loss.old}
    told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)
    yield f"{verb}: {counted(loss.records, 'record')}{told and f' ({told})'}"
    layers = f"{counted(loss.layers, 'layer')}, {readable(loss.size)}"
    yield f"{verb}: {counted(loss.results, 'result')}, {layers}"
    if loss.oldest is not None:
        yield f"made: {instant(loss.oldest)} to {instant(loss.newest)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationDocument:
    """What verifying caches found; sizes in bytes."""

    caches: tuple[VerifiedView, ...]

    @classmethod
    def of(cls, found: Sequence[Verification]) -> Self:
        """Give the document."""
        return filled(cls, found, caches=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedView:
    """Of VerificationDocument."""

    name: Annotated[str | None, "null for one name"]
    records: int
    blobs: int
    size: int
    faults: tuple[FaultView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultView:
    """Of VerifiedView."""

    kind: str
    blob: Annotated[str | None, "null or a digest"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDocument:
    """Whether a cache is as large as it should be."""

    holds: bool
    checks: tuple[GateCheckView, ...]

    @classmethod
    def of(cls, checks: Sequence[DemandCheck]) -> Self:
        """Give the document."""
        return filled(cls, checks, holds=all_hold(checks), checks=checks)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCheckView:
    """Of GateDocument."""

    name: str
    holds: Annotated[bool | None, "null without a cache to compare with"]
    figure: float
    limit: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairDocument:
    """What became of names that were repaired."""

    names: tuple[RepairView, ...]

    @classmethod
    def of(cls, found: Sequence[Repair]) -> Self:
        """Give the document."""
        return filled(cls, found, names=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairView:
    """Of RepairDocument."""

    name: str
    outcome: str
    faults: tuple[str, ...]
    restored: int
    lost_results: int
    lost_records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionDocument:
    """What was dropped from a cache; sizes in bytes."""

    manifest: Annotated[str, "digest"]
    written: bool
    before: ExtentView
    after: ExtentView
    dropped: LossView

    @classmethod
    def of(cls, found: Compacted, is_dry: bool) -> Self:
        """Give the document."""
        return filled(
            cls,
            found,
            manifest=found.cache.wrapped.descriptor.digest,
            written=not is_dry,
            dropped=found.loss,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtentView:
    """Of CompactionDocument: how large a cache is."""

    records: int
    results: int
    layers: int
    size: int
    config: int
    manifest: int

    @classmethod
    def of(cls, extent: Extent) -> Self:
        """Give one of them."""
        return filled(cls, extent, size=extent.blobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossView:
    """Of CompactionDocument."""

    covered: int
    dead: int
    old: int
    results: int
    layers: int
    size: int
    oldest: str | None
    newest: Annotated[str | None, "null or times"]
