"""What verifying, repairing and compacting caches found and did, as lines and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from cachexport.cli.console import in_line, printable
from cachexport.cli.views.text import aligned, bold, counted, instant, title
from cachexport.contract.units import readable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.transfer.fit import Loss
    from cachexport.upkeep.compact import Compacted, Extent
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


def verification_document(found: Sequence[Verification]) -> Iterator[str]:
    """Give everything, as JSON."""
    yield json.dumps({"caches": [_cache(item) for item in found]}, indent=2)


def _fault_row(fault: CacheFault) -> str:
    kind = click.style(f"{fault.kind:<13}", fg="red")
    where = f"{fault.blob}: " if fault.blob and fault.blob not in fault.text else ""
    return f"{kind}  {printable(where + fault.text)}"


def _cache(item: Verification) -> dict[str, Any]:
    return {
        "name": item.name or None,
        "records": item.records,
        "blobs": item.blobs,
        "size": item.size,
        "faults": [
            {"kind": fault.kind, "blob": fault.blob or None, "text": fault.text}
            for fault in item.faults
        ],
    }


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


def repair_document(found: Sequence[Repair]) -> Iterator[str]:
    """Give everything, as JSON."""
    yield json.dumps({"names": [asdict(item) for item in found]}, indent=2)


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


def compaction_document(found: Compacted, is_dry: bool) -> Iterator[str]:
    """Give everything, as JSON."""
    document = {
        "manifest": found.cache.wrapped.descriptor.digest,
        "written": not is_dry,
        "before": _extent(found.before),
        "after": _extent(found.after),
        "dropped": _loss(found.loss),
    }
    yield json.dumps(document, indent=2)


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


def _extent(extent: Extent) -> dict[str, int]:
    fields = asdict(extent)
    return {"size" if name == "blobs" else name: value for name, value in fields.items()}


def _loss(loss: Loss) -> dict[str, Any]:
    times = {"oldest": loss.oldest, "newest": loss.newest}
    counts = {
        name: getattr(loss, name)
        for name in ("covered", "dead", "old", "results", "layers", "size")
    }
    return counts | {name: None if time is None else str(time) for name, time in times.items()}
