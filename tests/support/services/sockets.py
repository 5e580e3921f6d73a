"""What the kernel knows of connections within this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

_TABLE = Path("/proc/net/tcp")


def is_read(connection: socket.socket) -> bool:
    """Tell whether the other end has read all that was sent to it."""
    here, there = connection.getsockname()[1], connection.getpeername()[1]
    queues = _queues()
    unsent, _ = queues[here, there]
    _, unread = queues[there, here]
    return not unsent and not unread


def _queues() -> dict[tuple[int, int], tuple[int, int]]:
    """Give by the ports of both ends how many bytes wait to be sent, and to be read."""
    lines = _TABLE.read_text().splitlines()[1:]
    rows = (line.split() for line in lines)
    return {(_last(row[1]), _last(row[2])): (_first(row[4]), _last(row[4])) for row in rows}


def _first(pair: str) -> int:
    return int(pair.partition(":")[0], 16)


def _last(pair: str) -> int:
    return int(pair.partition(":")[2], 16)
