"""The names of places, listed and pruned, as tables and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Self

import click

from cachexport.cli.console import in_line, printable
from cachexport.cli.views.document import filled
from cachexport.cli.views.text import age, aligned, counted
from cachexport.contract.units import readable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.upkeep.names import NamedCache
    from cachexport.upkeep.prune import Bytes, PrunedName, Pruning


_LISTED = ("NAME", "AGE", "SIZE", "RECORDS", "LAYERS", "KIND", "FAULT")
_LISTED_RIGHT = {"AGE", "SIZE", "RECORDS", "LAYERS"}


def listing_lines(found: Sequence[NamedCache], now: float, width: int | None) -> Iterator[str]:
    """Give a line for each name; `now` is in seconds since 1970."""
    yield from aligned([_LISTED, *(_listed_row(item, now) for item in found)], _LISTED_RIGHT, width)


def _listed_row(item: NamedCache, now: float) -> tuple[str, ...]:
    is_cache = item.kind not in ("image", "none", "damaged")
    return (
        in_line(item.name),
        age(item.time, now),
        readable(item.size) if not item.fault else "-",
        str(item.records) if is_cache else "-",
        str(item.layers) if is_cache else "-",
        item.kind,
        in_line(item.fault),
    )


_PRUNED = ("NAME", "AGE", "SIZE", "OWN", "", "WHY")
_TOLD = 3
_PRUNED_RIGHT = {"AGE", "SIZE", "OWN"}


def pruning_lines(found: Sequence[Pruning], width: int | None) -> Iterator[str]:
    """Give for every place its names and what was freed."""
    for number, item in enumerate(found):
        if number:
            yield ""
        yield item.title
        several = len({name.place for name in item.names}) > 1
        rows = [_pruned_row(name, item.now, several) for name in item.names]
        yield from aligned([_PRUNED, *rows], _PRUNED_RIGHT, width) if rows else ()
        yield from _sums(item)


def _pruned_row(item: PrunedName, now: float, several: bool) -> tuple[str, ...]:
    return (
        in_line(f"{item.place}: {item.name}" if several else item.name),
        age(item.time, now),
        readable(item.size),
        readable(item.own),
        "stays" if item.stays else "goes",
        in_line(item.reason),
    )


def _sums(item: Pruning) -> Iterator[str]:
    names = sum(not name.stays for name in item.names)
    would = "would go" if item.dry_run else "gone"
    told = f"{counted(names, 'name')} {would}"
    if item.freed is None:
        yield f"{told}; {_amount(item.kept)} are needed"
        yield "the registry's own garbage collection frees what no manifest needs any longer"
    else:
        freed = "would be freed" if item.dry_run else "freed"
        yield f"{told}; {_amount(item.freed)} {freed}, {_amount(item.kept)} are needed"
    if item.young.blobs:
        yield f"{_amount(item.young)} more are not needed, but younger than the grace"
    for text in list(dict.fromkeys(map(str, item.failures)))[:_TOLD]:
        yield click.style("failed: ", fg="red") + printable(text)
    if len(item.failures) > _TOLD:
        yield f"and {len(item.failures) - _TOLD:,} more failures"
    if item.dry_run:
        yield "nothing was deleted; --yes does it"


def _amount(amount: Bytes) -> str:
    return f"{readable(amount.size)} in {counted(amount.blobs, 'blob')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingDocument:
    """The names of a place; sizes in bytes."""

    names: tuple[NameView, ...]

    @classmethod
    def of(cls, found: Sequence[NamedCache]) -> Self:
        """Give the document."""
        return filled(cls, found, names=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class NameView:
    """Of ListingDocument."""

    name: str
    time: Annotated[float | None, "null or seconds since 1970"]
    kind: str
    digest: str | None
    size: int
    records: int
    layers: int
    fault: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PruningDocument:
    """What was pruned; sizes in bytes."""

    places: tuple[PrunedPlaceView, ...]

    @classmethod
    def of(cls, found: Sequence[Pruning]) -> Self:
        """Give the document."""
        return filled(cls, found, places=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedPlaceView:
    """Of PruningDocument."""

    title: str
    dry_run: bool
    failures: tuple[str, ...]
    freed: Annotated[BytesView | None, "null or {}"]
    kept: BytesView
    young: BytesView
    names: tuple[PrunedNameView, ...]

    @classmethod
    def of(cls, item: Pruning) -> Self:
        """Give one place."""
        return filled(cls, item, failures=tuple(map(str, item.failures)))


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesView:
    """Of PrunedPlaceView: blobs and what they are together."""

    blobs: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedNameView:
    """Of PrunedPlaceView."""

    place: str
    name: str
    time: float | None
    size: int
    own: int
    stays: bool
    reason: str
    image: bool

    @classmethod
    def of(cls, name: PrunedName) -> Self:
        """Give one name."""
        return filled(cls, name, image=name.is_image)
