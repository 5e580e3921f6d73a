"""A clock that stands still, and scripts of events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cachexport.content.progress import Event

if TYPE_CHECKING:
    from cachexport.content.progress import Progress

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
LAYER = "writing layer sha256:" + "ab" * 32


@dataclass
class Clock:
    now: int = field(default=START)

    def __call__(self) -> int:
        return self.now

    def after(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)


def one_layer(hear: Progress, clock: Clock, *, name: str = LAYER, seconds: float = 12) -> None:
    """Write a layer of 12 MB at an even pace, an event each second."""
    hear(Event(name, "started", 0, 12_000_000))
    for second in range(1, 13):
        clock.after(seconds / 12)
        hear(Event(name, "moved", second * 1_000_000, 12_000_000))
    hear(Event(name, "done", 12_000_000, 12_000_000))
