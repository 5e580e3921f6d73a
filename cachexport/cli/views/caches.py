"""A cache as a summary and a table of its records, and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Self

import click

from cachexport.cli.console import in_line, printable
from cachexport.cli.views.document import BlobView, filled
from cachexport.cli.views.text import (
    aligned,
    bold,
    counted,
    form_of,
    instant,
    short,
    title,
)
from cachexport.contract.units import readable
from cachexport.model.envelope.manifest import IMPORT_LIMIT
from cachexport.oci.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.insight.inspect import BlobKind, Document, Inspection, Layer, Record, Result
    from cachexport.model.config import CacheInput


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


@dataclass(frozen=True, slots=True, kw_only=True)
class CachesDocument:
    """What is in caches; sizes in bytes. No field will be taken away."""

    caches: tuple[CacheView, ...]

    @classmethod
    def of(cls, inspections: Sequence[Inspection]) -> Self:
        """Give the document."""
        return filled(cls, inspections, caches=inspections)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheView:
    """Of CachesDocument."""

    form: str
    manifest: BlobView | None
    config: Annotated[BlobView | None, "null or {}"]
    import_limit: int
    summary: SummaryView
    notes: tuple[str, ...]
    records: tuple[RecordView, ...]
    layers: tuple[LayerView, ...]

    @classmethod
    def of(cls, inspection: Inspection) -> Self:
        """Give the part of one cache."""
        return filled(
            cls, inspection, form=form_of(inspection), import_limit=IMPORT_LIMIT, summary=inspection
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryView:
    """Of CacheView."""

    records: int
    results: int
    layers: int
    blobs: int
    size: int
    oldest_result: str | None
    newest_result: str | None
    kinds: tuple[KindView, ...]

    @classmethod
    def of(cls, inspection: Inspection) -> Self:
        """Give the sums of one cache."""
        return filled(
            cls,
            inspection,
            records=len(inspection.records),
            layers=len(inspection.layers),
            oldest_result=inspection.oldest,
            newest_result=inspection.newest,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KindView:
    """Of SummaryView: the blobs of one media type."""

    media_type: str
    compression: str | None
    blobs: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordView:
    """Of CacheView."""

    digest: str
    inputs: Annotated[tuple[tuple[InputView, ...], ...], "{}"]
    results: tuple[ResultView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputView:
    """Of RecordView: one alternative of an input."""

    record: int
    selector: str

    @classmethod
    def of(cls, link: CacheInput) -> Self:
        """Give one alternative."""
        return filled(cls, link, record=link.link)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultView:
    """Of RecordView."""

    created_at: str | None
    layer: int | None
    depth: int
    chain: tuple[int, ...] | None

    @classmethod
    def of(cls, result: Result) -> Self:
        """Give one result."""
        return filled(cls, result, layer=result.top)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerView:
    """Of CacheView."""

    blob: str
    parent: int
    media_type: str | None
    size: int | None
    diff_id: str | None
    description: str | None

    @classmethod
    def of(cls, layer: Layer) -> Self:
        """Give one layer."""
        desc = layer.descriptor
        return filled(
            cls,
            layer,
            media_type=desc.media_type if desc else None,
            diff_id=desc.diff_id if desc else None,
        )
