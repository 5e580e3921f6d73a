"""Digests, times and spans as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cachexport.oci.timestamp import Timestamp

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
    """Say how long before `now` something was; empty where one of them is not known."""
    if time is None or now is None:
        return ""
    passed = (now.seconds - time.seconds) * 10**9 + now.nanos - time.nanos
    return f"{span(passed)} ago" if passed >= 0 else f"in {span(-passed)}"
