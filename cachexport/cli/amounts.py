"""Amounts as people type them: sizes and spans of time."""

from __future__ import annotations

import re

import click

from cachexport.contract.units import duration, size

_DAYS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([dw])")
_SECONDS = {"d": 24 * 3600.0, "w": 7 * 24 * 3600.0}


def span(text: str) -> float:
    """Read a span of time as seconds: `30d`, `2w`, `48h`, `1h30m`. Raises BadParameter."""
    days = _DAYS.fullmatch(text)
    if days is not None:
        return float(days[1]) * _SECONDS[days[2]]
    try:
        return duration(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no span of time, as 30d or 48h is") from None


def amount(text: str) -> int:
    """Read a number of bytes: `50GB`, `1MiB`. Raises BadParameter."""
    try:
        return size(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no size, as 50GB is") from None


def readable_span(seconds: float) -> str:
    """Give a span of time as people say it, by its largest unit: `3 days`, `40 s`."""
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(int(seconds), 0)} s"
