"""Short names for what a cache has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.cli.console import printable

if TYPE_CHECKING:
    from cachexport.insight.inspect import Inspection
    from cachexport.oci.timestamp import Timestamp

_DIGITS = 12


def short(digest: str) -> str:
    """Give the first twelve digits of a digest, without its algorithm."""
    return printable(digest.rpartition(":")[2][:_DIGITS])


def instant(time: Timestamp | None) -> str:
    """Give a time in UTC to the second; `-` where there is none."""
    return "-" if time is None else f"{str(time.utc())[:19].replace('T', ' ')}Z"


def counted(count: int, noun: str) -> str:
    """Give a number of things: `1 layer`, `2 layers`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def form_of(inspection: Inspection) -> str:
    """Name the form of a cache."""
    return inspection.form or "inline"


def title(number: int, count: int) -> str:
    """Name one of several caches."""
    return f"cache {number} of {count}"
