"""Numbers as clients write them."""

from __future__ import annotations

MOST = (1 << 63) - 1
"""More than anything here has of anything."""
_DIGITS = len(str(MOST))


def number(digits: str) -> int:
    """Read decimal digits; what is over `MOST` is `MOST`.

    However many they are: Python reads no more than 4,300.
    """
    significant = digits.lstrip("0") or "0"
    return min(int(significant), MOST) if len(significant) <= _DIGITS else MOST
