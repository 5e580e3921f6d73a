"""What was dropped from a cache, as a table and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cachexport.cli.views.columns import aligned
from cachexport.cli.views.names import counted, instant
from cachexport.contract.units import (
    readable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cachexport.transfer.fit import Loss
    from cachexport.upkeep.compact import Compacted, Extent

_HEADINGS = ("", "BEFORE", "AFTER")


def table_lines(found: Compacted, is_dry: bool) -> Iterator[str]:
    """Give how large the cache was and is, and what was dropped, or would be."""
    before, after = _cells(found.before), _cells(found.after)
    rows = [(name, before[name], after[name]) for name in before]
    yield from aligned([_HEADINGS, *rows], {"BEFORE", "AFTER"})
    yield ""
    yield from _told(found.loss, "would be dropped" if is_dry else "dropped")


def document_lines(found: Compacted, is_dry: bool) -> Iterator[str]:
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


def _told(loss: Loss, verb: str) -> Iterator[str]:
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
