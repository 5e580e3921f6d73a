"""Requests that a gateway answered, and what else it tells, as lines."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from cachexport.cli.console import in_line

if TYPE_CHECKING:
    from cachexport.gateway.http.exchange import Exchange


def document(record: Exchange, now: float) -> str:
    """Give a request as JSON; `now` is in seconds since 1970."""
    told = {"time": round(now, 3), **asdict(record), "seconds": round(record.seconds, 4)}
    return json.dumps(told)


def message_document(kind: str, message: str, now: float) -> str:
    """Give what is about no request as JSON."""
    return json.dumps({"time": round(now, 3), "level": kind, "message": message})


def line(record: Exchange) -> str:
    """Give a request for people."""
    asked = f"{record.method} {record.path}" if record.method else "no request"
    moved = f" {record.received:,} in, {record.sent:,} out" if record.received + record.sent else ""
    text = f"{asked} {record.status} {record.seconds:.3f}s{moved} {record.error}"
    return in_line(text.rstrip())
