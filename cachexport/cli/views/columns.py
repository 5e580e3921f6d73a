"""Rows set in columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence


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
        yield line if number else click.style(line, bold=True)


def _pad(column: tuple[str, ...], right: Collection[str]) -> list[str]:
    size = max(map(len, column))
    if column[0] in right:
        return [cell.rjust(size) for cell in column]
    return [cell.ljust(size) for cell in column]
