"""When results were made, counted in intervals of equal length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.oci.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable

_SECOND = 1_000_000_000
_MOST = 48
"""Bars that can still be told apart on a phone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """How many results were made when."""

    first: Timestamp
    last: Timestamp
    width: int
    """The length of an interval in nanoseconds."""
    counts: tuple[int, ...]
    """Of each interval; the first begins with the first result."""

    @property
    def tallest(self) -> int:
        """The most results of an interval."""
        return max(self.counts)

    def start(self, number: int) -> Timestamp:
        """Say when an interval begins."""
        return _instant(_nanoseconds(self.first) + number * self.width)


def count_ages(times: Iterable[Timestamp]) -> Ages | None:
    """Count results by when they were made; None without any."""
    moments = sorted(times)
    if not moments:
        return None
    first, last = moments[0].utc(), moments[-1].utc()
    begin, span = _nanoseconds(first), _nanoseconds(last) - _nanoseconds(first)
    bars = min(_MOST, span + 1)
    width = span // bars + 1
    counts = [0] * (span // width + 1)
    for moment in moments:
        counts[(_nanoseconds(moment) - begin) // width] += 1
    return Ages(first=first, last=last, width=width, counts=tuple(counts))


def _nanoseconds(time: Timestamp) -> int:
    return time.seconds * _SECOND + time.nanos


def _instant(nanoseconds: int) -> Timestamp:
    return Timestamp(*divmod(nanoseconds, _SECOND))
