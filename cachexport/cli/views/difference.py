"""How two caches differ, as lines for people and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Self

from cachexport.cli.console import in_line
from cachexport.cli.views.document import filled
from cachexport.cli.views.text import aligned, bold, counted, instant, short
from cachexport.contract.units import readable
from cachexport.insight.diff import BlobCount, Reason, Side

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.insight.diff import Difference, FirstChange, RecordChange
    from cachexport.model.chains import CacheResult

_RECORDS = ("", "RECORD", "MADE IN A", "MADE IN B", "TOP LAYER", "STEP")


def table_lines(found: Difference, limit: int, width: int | None) -> Iterator[str]:
    """Give sums, the first changes, then the records; `limit` of each kind, 0 for all."""
    rows = [("", "A", "B"), *_sums(found.a, found.b)]
    yield from aligned(rows, {"A", "B"})
    yield ""
    gained, lost = found.gained_blobs, found.lost_blobs
    yield f"{counted(found.common, 'record')} in both"
    yield f"{counted(gained.count, 'blob')} gained, {readable(gained.size)}"
    yield f"{counted(lost.count, 'blob')} lost, {readable(lost.size)}"
    if found.is_empty:
        yield "no difference"
    if found.first:
        yield ""
        yield bold("First changes:")
        shown = found.first[: limit or None]
        yield from (f"  {_first(change)}" for change in shown)
        yield from _more(len(found.first) - len(shown), "  ")
    yield from _records(found, limit, width)


def _sums(a: Side, b: Side) -> Iterator[tuple[str, str, str]]:
    yield "records", f"{a.records:,}", f"{b.records:,}"
    yield "results", f"{a.results:,}", f"{b.results:,}"
    yield "blobs", f"{a.blobs:,}", f"{b.blobs:,}"
    yield "size", readable(a.size), readable(b.size)


def _first(change: FirstChange) -> str:
    name = short(change.digest)
    match change.reason:
        case Reason.DIGEST:
            text = f"digest: {name} in place of {short(change.was)}"
        case Reason.INPUT | Reason.SELECTOR:
            what = "input" if change.reason is Reason.INPUT else "selector of input"
            was, now = _listed(change.before), _listed(change.after)
            text = f"{name}: {what} {change.index} was {was}, is {now}"
        case Reason.NEW:
            text = f"new: {name}"
        case Reason.GONE:
            text = f"gone: {name}"
    return text + (f"  ({in_line(change.description)})" if change.description else "")


def _listed(items: Sequence[str]) -> str:
    names = [short(item) or "empty" for item in items[:2]]
    more = f" and {len(items) - 2} more" if len(items) > 2 else ""
    return " or ".join(names) + more


def _records(found: Difference, limit: int, width: int | None) -> Iterator[str]:
    kinds = (("+", found.gained), ("-", found.lost), ("~", found.changed))
    rows = [_row(mark, item) for mark, items in kinds for item in items[: limit or None]]
    if rows:
        yield ""
        yield from aligned([_RECORDS, *rows], {"TOP LAYER"}, width)
    hidden = sum(max(len(items) - limit, 0) for _, items in kinds) if limit else 0
    yield from _more(hidden, "")


def _more(hidden: int, indent: str) -> Iterator[str]:
    if hidden > 0:
        yield f"{indent}and {hidden:,} more (--limit 0 shows all)"


def _row(mark: str, item: RecordChange) -> tuple[str, ...]:
    result = item.after or item.before
    return (
        mark,
        short(item.digest),
        _made(item.before),
        _made(item.after),
        readable(result.remote.descriptor.size) if result else "-",
        in_line(item.description),
    )


def _made(result: CacheResult | None) -> str:
    return instant(None if result is None else result.created_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceDocument:
    """How two caches differ; sizes in bytes."""

    a: Side
    b: Side
    common: Annotated[int, "records that both have"]
    first: tuple[FirstView, ...]
    gained: tuple[ChangeView, ...]
    lost: tuple[ChangeView, ...]
    changed: tuple[ChangeView, ...]
    gained_blobs: BlobCount
    lost_blobs: Annotated[BlobCount, "{}"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstView:
    """Of DifferenceDocument: where the caches part."""

    reason: str
    digest: str
    was: Annotated[str | None, "null or a digest"]
    input: Annotated[int | None, "null or a number"]
    before: tuple[str, ...]
    after: tuple[str, ...]
    description: str | None

    @classmethod
    def of(cls, change: FirstChange) -> Self:
        """Give one of the first changes."""
        return filled(cls, change, input=change.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeView:
    """Of DifferenceDocument: a record that not both have alike."""

    digest: str
    before: ChangedResultView | None
    after: Annotated[ChangedResultView | None, "null or {}"]
    description: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedResultView:
    """Of ChangeView."""

    created_at: str
    layer: str
    size: int
    depth: int

    @classmethod
    def of(cls, result: CacheResult) -> Self:
        """Give one result."""
        top = result.remote.descriptor
        return cls(
            created_at=str(result.created_at),
            layer=top.digest,
            size=top.size,
            depth=sum(1 for _ in result.remote.down()),
        )
