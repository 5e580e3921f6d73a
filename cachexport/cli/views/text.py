"""Words, numbers and columns for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cachexport.cli.console import printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from cachexport.insight.inspect import Inspection
    from cachexport.oci.timestamp import Timestamp


_DIGITS = 12


def short(digest: str) -> str:
    """Give the first twelve digits of a digest, without its algorithm."""
    return printable(digest.rpartition(":")[2][:_DIGITS])


def instant(time: Timestamp | None) -> str:
    """Give a time in UTC to the second; `-` where there is none."""
    return "-" if time is None else f"{str(time.utc())[:19].replace('T', ' ')}Z"


def age(time: float | None, now: float) -> str:
    """Say how long ago something was; `-` where nobody knows."""
    return "-" if time is None else readable_span(now - time)


def readable_span(seconds: float) -> str:
    """Give a span of time as people say it, by its largest unit: `3 days`, `40 s`."""
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(int(seconds), 0)} s"


def bold(text: str) -> str:
    """Give text in bold, for headings."""
    return click.style(text, bold=True)


def counted(count: int, noun: str) -> str:
    """Give a number of things: `1 layer`, `2 layers`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def form_of(inspection: Inspection) -> str:
    """Name the form of a cache."""
    return inspection.form or "inline"


def title(number: int, count: int) -> str:
    """Name one of several caches."""
    return f"cache {number} of {count}"


def aligned(
    rows: Sequence[tuple[str, ...]], right: Collection[str] = (), width: int | None = None
) -> Iterator[str]:
    """Give rows as lines of `width` columns at most, the first one, the headings, in bold.

    `right` are the headings of columns that are set to the right. A last column that has nothing
    in it is left out.
    """
    columns = list(zip(*rows, strict=True))
    if not any(columns[-1][1:]):
        columns.pop()
    padded = [_pad(column, right) for column in columns]
    for number, cells in enumerate(zip(*padded, strict=True)):
        line = "  ".join(cells).rstrip()
        if width is not None and len(line) > width:
            line = f"{line[: max(width - 3, 0)]}..."
        yield line if number else bold(line)


def _pad(column: tuple[str, ...], right: Collection[str]) -> list[str]:
    size = max(map(len, column))
    if column[0] in right:
        return [cell.rjust(size) for cell in column]
    return [cell.ljust(size) for cell in column]
