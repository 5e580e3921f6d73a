"""Sizes as people read them, in powers of ten as BuildKit shows them."""

from __future__ import annotations

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
