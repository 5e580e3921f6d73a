"""Points in time as Go writes them: RFC 3339 with nanoseconds.

A `datetime` has microseconds only, and reading and writing one again would change the bytes, and
so the digest, of a cache.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, Self

from cachexport.errors import InvalidInputError

# What Go's time.Time.UnmarshalJSON accepts: upper-case T and Z, an hour of one digit, a comma.
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d?):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_DAY = 86_400
_CYCLE = 146_097
"""Days in 400 years, after which the calendar is the same."""
_UNIX_EPOCH = dt.date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """An instant with nanoseconds; two are equal when the instants are, whatever their zones."""

    seconds: int
    """Seconds since 1970-01-01T00:00:00Z."""
    nanos: int = 0
    offset: int = field(default=0, compare=False)
    """Seconds east of UTC in which the instant is written."""

    ZERO: ClassVar[Timestamp]
    """Go's zero time, 0001-01-01T00:00:00Z."""

    @classmethod
    def parse(cls, text: str) -> Timestamp:
        """Read RFC 3339 text as Go does, cutting what is finer than a nanosecond.

        Raises InvalidInputError when the text is no such time.
        """
        return _parse(text)

    @classmethod
    def of(cls, value: Timestamp | dt.datetime | str) -> Timestamp:
        """Make a timestamp of whatever a caller has for one.

        Raises InvalidInputError for a `datetime` without zone: it names no instant.
        """
        if isinstance(value, Timestamp):
            return value
        if isinstance(value, str):
            return cls.parse(value)
        offset = value.utcoffset()
        if offset is None:
            raise InvalidInputError(f"a time needs a zone: {value!r} (tzinfo=datetime.UTC is UTC)")
        since = value - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        seconds = since.days * _DAY + since.seconds
        return cls(seconds, since.microseconds * 1000, int(offset.total_seconds()))

    def utc(self) -> Self:
        """Give the same instant, written in UTC."""
        return type(self)(self.seconds, self.nanos)

    def __str__(self) -> str:
        days, rest = divmod(self.seconds + self.offset, _DAY)
        year, month, day = _civil(days)
        fraction = f".{self.nanos:09d}".rstrip("0") if self.nanos else ""
        return (
            f"{year:04d}-{month:02d}-{day:02d}"
            f"T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}{fraction}{self._zone()}"
        )

    def _zone(self) -> str:
        if not self.offset:
            return "Z"
        minutes = abs(self.offset) // 60
        return f"{'+' if self.offset > 0 else '-'}{minutes // 60:02d}:{minutes % 60:02d}"


@lru_cache(maxsize=4096)
def _parse(text: str) -> Timestamp:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise InvalidInputError(f"not a time: {text!r} (wants 2006-01-02T15:04:05.999999999Z)")
    year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
    zone_hours, zone_minutes = int(match[9] or 0), int(match[10] or 0)
    zone = zone_hours * 3600 + zone_minutes * 60
    # Go reads a zone of 60 minutes, and one of 24 hours too, which it then cannot write.
    if hour > 23 or minute > 59 or second > 59 or zone_minutes > 60 or zone >= _DAY:
        raise InvalidInputError(f"not a time: {text!r} (a field is out of range)")
    offset = -zone if match[8] == "-" else zone
    seconds = _days(text, year, month, day) * _DAY + hour * 3600 + minute * 60 + second - offset
    return Timestamp(seconds, int((match[7] or "")[:9].ljust(9, "0")), offset)


def _days(text: str, year: int, month: int, day: int) -> int:
    # Go knows a year 0 and Python does not; 400 years later the calendar is the same.
    shift = 0 if year else 400
    try:
        ordinal = dt.date(year + shift, month, day).toordinal()
    except ValueError as error:
        raise InvalidInputError(f"not a time: {text!r} ({error})") from error
    return ordinal - (_CYCLE if shift else 0) - _UNIX_EPOCH


def _civil(days: int) -> tuple[int, int, int]:
    # Python's calendar ends on both sides of where a zone may lead; after 400 years it repeats.
    cycles = {days < 1 - _UNIX_EPOCH: -1, days > dt.date.max.toordinal() - _UNIX_EPOCH: 1}.get(True)
    shift = cycles or 0
    date = dt.date.fromordinal(days + _UNIX_EPOCH - shift * _CYCLE)
    return date.year + shift * 400, date.month, date.day


Timestamp.ZERO = Timestamp.parse("0001-01-01T00:00:00Z")
