"""Amounts as people write and read them: counts, durations, sizes, lists of names."""

from __future__ import annotations

import re

from cachexport.contract.attributes import integer

_DURATION = re.compile(r"(?:(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_SIZE = re.compile(r"(\d{1,18})(?:([KMGT])(i?)B?|B)?", re.IGNORECASE)
_POWERS = {"K": 1, "M": 2, "G": 3, "T": 4}
_MOST = 256


def count(text: str) -> int:
    """Read how many, from 1 on."""
    number = integer(text)
    if not 0 < number <= _MOST:
        raise ValueError(f"wants a number from 1 to {_MOST}")
    return number


def duration(text: str) -> float:
    """Read a duration as Go's ParseDuration does, as in 1h30m; give seconds."""
    if text == "0":
        return 0.0
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("wants a duration, as in 24h or 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def size(text: str) -> int:
    """Read a size, as in 8MiB or 8388608; give bytes. KB is 1,000 of them, KiB 1,024."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("wants a size, as in 8MiB")
    number, unit, binary = match.groups()
    return (
        int(number) * (1024 if binary else 1000) ** _POWERS[unit.upper()] if unit else int(number)
    )


def names(text: str) -> tuple[str, ...]:
    """Read names joined by `;`, each once."""
    found = tuple(dict.fromkeys(name for name in text.split(";") if name))
    if not found:
        raise ValueError("wants a name")
    return found


_UNITS = ("kB", "MB", "GB", "TB", "PB")


def readable(size: int) -> str:
    """Give a number of bytes with three digits or so: `512 B`, `4.19 MB`."""
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in _UNITS:
        value /= 1000
        if value < 999.995 or unit == _UNITS[-1]:
            break
    return f"{value:.2f} {unit}"
