"""Digests, times and ages as people read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.oci.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable


_DIGITS = 12
_SPANS = (
    ("day", 86_400 * 10**9),
    ("hour", 3600 * 10**9),
    ("minute", 60 * 10**9),
    ("second", 10**9),
    ("millisecond", 10**6),
    ("microsecond", 10**3),
)


def short(digest: str) -> str:
    """Give the first twelve digits of a digest, without its algorithm."""
    return digest.rpartition(":")[2][:_DIGITS]


def instant(time: Timestamp | None, *, fine: bool = False) -> str:
    """Give a time in UTC to the second, or with `fine` to the millisecond."""
    if time is None:
        return "unknown"
    text = str(time.utc())
    fraction = f".{time.nanos // 10**6:03d}" if fine else ""
    return f"{text[:10]} {text[11:19]}{fraction}Z"


def span(nanoseconds: int) -> str:
    """Give a length of time in its largest unit: `3 days`, `1 second`, `0 seconds`."""
    for unit, length in _SPANS:
        if nanoseconds >= length:
            return counted(nanoseconds // length, unit)
    return counted(0, "second") if nanoseconds <= 0 else counted(nanoseconds, "nanosecond")


def counted(count: int, noun: str) -> str:
    """Give a number of things: `1 layer`, `2 layers`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def age(time: Timestamp | None, now: Timestamp | None) -> str:
    """Say how long before `now` a time was; empty when one of them is unknown."""
    if time is None or now is None:
        return ""
    passed = (now.seconds - time.seconds) * 10**9 + now.nanos - time.nanos
    return f"{span(passed)} ago" if passed >= 0 else f"in {span(-passed)}"


_SECOND = 1_000_000_000
_MOST_BARS = 48
"""Bars that one can distinguish on a phone."""


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
    bars = min(_MOST_BARS, span + 1)
    width = span // bars + 1
    counts = [0] * (span // width + 1)
    for moment in moments:
        counts[(_nanoseconds(moment) - begin) // width] += 1
    return Ages(first=first, last=last, width=width, counts=tuple(counts))


def _nanoseconds(time: Timestamp) -> int:
    return time.seconds * _SECOND + time.nanos


def _instant(nanoseconds: int) -> Timestamp:
    return Timestamp(*divmod(nanoseconds, _SECOND))
