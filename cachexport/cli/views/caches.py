"""A cache as a summary and a table of its records, and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from cachexport.cli.console import in_line, printable
from cachexport.cli.views.text import aligned, bold, counted, form_of, instant, short, title
from cachexport.contract.units import readable
from cachexport.model.envelope.manifest import IMPORT_LIMIT
from cachexport.oci.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.insight.inspect import BlobKind, Document, Inspection, Layer, Record, Result


_HEADINGS = ("#", "RECORD", "INPUTS", "CREATED", "LAYERS", "TOP LAYER", "STEP")
_RIGHT = {"#", "INPUTS", "LAYERS", "TOP LAYER"}


def table_lines(inspections: Sequence[Inspection], limit: int, width: int | None) -> Iterator[str]:
    """Give summary and table of every cache, in lines of `width` columns at most.

    The records with the largest top layers come first, of equal ones the newest; `limit` says
    how many, 0 that all.
    """
    count = len(inspections)
    for number, inspection in enumerate(inspections, 1):
        if count > 1:
            yield from ("",) if number > 1 else ()
            yield bold(title(number, count))
        yield from _summary(inspection)
        yield from _records(inspection, limit, width)


def _summary(inspection: Inspection) -> Iterator[str]:
    yield _fact("form", form_of(inspection))
    for document in (inspection.manifest, inspection.config):
        if document is not None:
            yield _fact(document.kind, document.digest)
            yield _fact("", _size(document))
    yield _fact("records", f"{len(inspection.records):,} ({counted(inspection.results, 'result')})")
    blobs = f"{counted(inspection.blobs, 'distinct blob')}, {readable(inspection.size)}"
    yield _fact("layers", f"{len(inspection.layers):,} ({blobs})")
    for kind in inspection.kinds:
        yield _fact("", _kind(kind))
    yield _fact("oldest", instant(inspection.oldest))
    yield _fact("newest", instant(inspection.newest))
    for note in inspection.notes:
        yield click.style("note: ", fg="yellow", bold=True) + note


def _fact(name: str, value: str) -> str:
    return bold(f"{name + ':' if name else '':<10}") + value


def _size(document: Document) -> str:
    return f"{document.size:,} bytes, {document.share:.1%} of BuildKit's {IMPORT_LIMIT >> 20} MiB"


def _kind(kind: BlobKind) -> str:
    named = kind.compression or printable(kind.media_type) or "no media type"
    return f"{named}: {counted(kind.blobs, 'blob')}, {readable(kind.size)}"


def _records(inspection: Inspection, limit: int, width: int | None) -> Iterator[str]:
    ordered = sorted(
        enumerate(inspection.records), key=lambda item: _rank(item[1], inspection), reverse=True
    )
    shown = ordered[: limit or None]
    rows = [_HEADINGS, *((str(number), *_row(record, inspection)) for number, record in shown)]
    if shown:
        yield ""
        yield from aligned(rows, _RIGHT, width)
    if len(shown) < len(ordered):
        yield f"and {len(ordered) - len(shown):,} more (--limit 0 shows all)"


def _rank(record: Record, inspection: Inspection) -> tuple[bool, int, Timestamp, str]:
    newest = record.newest
    if newest is None:
        return False, 0, Timestamp.ZERO, record.digest
    return True, _top_size(record, inspection) or 0, newest.created_at or Timestamp.ZERO, ""


def _top_size(record: Record, inspection: Inspection) -> int | None:
    newest = record.newest
    if newest is None or newest.top is None:
        return None
    return inspection.layers[newest.top].size


def _row(record: Record, inspection: Inspection) -> tuple[str, ...]:
    newest = record.newest
    inputs = str(len(record.inputs))
    if newest is None:
        return short(record.digest), inputs, "-", "-", "-", ""
    size = _top_size(record, inspection)
    layer = None if newest.top is None else inspection.layers[newest.top]
    return (
        short(record.digest),
        inputs,
        instant(newest.created_at),
        str(newest.depth),
        "?" if size is None else readable(size),
        in_line(layer.description) if layer else "",
    )


def document_lines(inspections: Sequence[Inspection]) -> Iterator[str]:
    """Give the JSON of all caches."""
    yield json.dumps({"caches": [_cache(inspection) for inspection in inspections]}, indent=2)


def _cache(inspection: Inspection) -> dict[str, Any]:
    return {
        "form": form_of(inspection),
        "manifest": _document(inspection.manifest),
        "config": _document(inspection.config),
        "import_limit": IMPORT_LIMIT,
        "summary": _summary_object(inspection),
        "notes": list(inspection.notes),
        "records": [_record_object(record) for record in inspection.records],
        "layers": [_layer(layer) for layer in inspection.layers],
    }


def _document(document: Document | None) -> dict[str, Any] | None:
    if document is None:
        return None
    return {
        "media_type": document.media_type,
        "digest": document.digest,
        "size": document.size,
    }


def _summary_object(inspection: Inspection) -> dict[str, Any]:
    return {
        "records": len(inspection.records),
        "results": inspection.results,
        "layers": len(inspection.layers),
        "blobs": inspection.blobs,
        "size": inspection.size,
        "oldest_result": _time(inspection.oldest),
        "newest_result": _time(inspection.newest),
        "kinds": [
            {
                "media_type": kind.media_type,
                "compression": kind.compression,
                "blobs": kind.blobs,
                "size": kind.size,
            }
            for kind in inspection.kinds
        ],
    }


def _record_object(record: Record) -> dict[str, Any]:
    return {
        "digest": record.digest,
        "inputs": [
            [{"record": link.link, "selector": link.selector} for link in links]
            for links in record.inputs
        ],
        "results": [_result(result) for result in record.results],
    }


def _result(result: Result) -> dict[str, Any]:
    return {
        "created_at": _time(result.created_at),
        "layer": result.top,
        "depth": result.depth,
        "chain": result.chain,
    }


def _layer(layer: Layer) -> dict[str, Any]:
    desc = layer.descriptor
    return {
        "blob": layer.blob,
        "parent": layer.parent,
        "media_type": desc.media_type if desc else None,
        "size": layer.size,
        "diff_id": desc.diff_id if desc else None,
        "description": layer.description or None,
    }


def _time(time: Timestamp | None) -> str | None:
    return None if time is None else str(time)
