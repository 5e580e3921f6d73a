"""How much a layer may unpack to."""

from __future__ import annotations

from dataclasses import dataclass

from cachexport.errors import FailedPrecondition

_FREE = 64 << 20
"""Bytes that any layer may have, however small it is compressed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is refused when there is more of it; None: any amount is fine."""

    entries: int | None = 2_000_000
    bytes: int | None = 1 << 40
    """Of all files together, holes included."""
    ratio: float | None = 10_000.0
    """Of uncompressed to compressed bytes. gzip cannot do more than 1,032; zeros in zstd can."""


class Meter:
    """Counts what came out of one layer. Each method raises FailedPrecondition at its limit."""

    def __init__(self, limits: Limits, name: str) -> None:
        self._limits = limits
        self._name = name
        self._entries = self._bytes = self._packed = self._plain = 0

    def packed(self, count: int) -> None:
        """Hear of bytes that were read compressed."""
        self._packed += count

    def plain(self, count: int) -> None:
        """Hear of bytes that came out of them."""
        self._plain += count
        ratio = self._limits.ratio
        if ratio is not None and self._plain > max(_FREE, ratio * self._packed):
            raise self._refusal(f"it unpacks to more than {ratio:g} times its size")

    def entry(self, size: int) -> None:
        """Hear of an entry whose file has `size` bytes."""
        self._entries += 1
        self._bytes += size
        entries, most = self._limits.entries, self._limits.bytes
        if entries is not None and self._entries > entries:
            raise self._refusal(f"it has more than {entries} entries")
        if most is not None and self._bytes > most:
            raise self._refusal(f"its files have more than {most} bytes")

    def _refusal(self, what: str) -> FailedPrecondition:
        return FailedPrecondition(f"{self._name} is not unpacked: {what}; allow more if it may")
