"""Which names of a place stay, and why the others go. Nothing is read or deleted here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from cachexport.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cachexport.contract.names import BlobTable, Mark
    from cachexport.errors import CachexportError

_DAY = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Rules for names. Without any, all names stay, and only blobs that none needs are deleted."""

    keep_last: int | None = None
    """This many of the newest caches stay; if no other rule is given, all others go."""
    keep_names: tuple[str, ...] = ()
    """Names that match one of these shell patterns stay."""
    max_age: float | None = None
    """Seconds; caches that were written longer ago go."""
    max_bytes: int | None = None
    """The oldest caches go until the blobs of all others have no more bytes than this."""
    images: bool = False
    """Whether images that were written longer than `max_age` ago go too."""

    def __post_init__(self) -> None:
        rules = (self.keep_last, self.max_age, self.max_bytes)
        if self.keep_names and all(rule is None for rule in rules):
            raise InvalidInputError(
                "keep-name spares names from another rule; give keep-last, max-age or max-bytes too"
            )
        if self.images and self.max_age is None:
            raise InvalidInputError("images go by their age alone; give max-age too")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a name stays, and why."""

    stays: bool
    reason: str = ""
    error: CachexportError | None = None
    """Why it could not be removed, if it stays for that."""


def judge(
    marks: Sequence[Mark], retention: Retention, table: BlobTable, now: float
) -> dict[Mark, Verdict]:
    """Say of each name whether it stays. `now` is in seconds since 1970.

    Other things than caches stay, except old images if these are to go. Names of unknown age stay
    too. None of these counts for `keep_last`.
    """
    newest_first = sorted(marks, key=_age_order)
    ranked = [item for item in newest_first if item.is_cache and item.time is not None]
    ranks = {item: rank for rank, item in enumerate(ranked)}
    verdicts = {item: _judge(item, ranks.get(item), retention, now) for item in newest_first}
    if retention.max_bytes is not None:
        _shrink(verdicts, retention.max_bytes, table)
    return verdicts


def _age_order(mark: Mark) -> tuple[float, str]:
    return (float("-inf") if mark.time is None else -mark.time, mark.entry.name)


def _judge(mark: Mark, rank: int | None, retention: Retention, now: float) -> Verdict:
    if not mark.is_cache and not (mark.is_image and retention.images):
        return Verdict(True, "an image" if mark.is_image else "no cache")
    if mark.time is None:
        return Verdict(True, "its age is unknown")
    if any(fnmatchcase(mark.entry.name, pattern) for pattern in retention.keep_names):
        return Verdict(True, "kept by its name")
    last, max_age = retention.keep_last, retention.max_age
    if last is not None and rank is not None and rank < last:
        return Verdict(True, f"among the newest {last}")
    if max_age is not None and now - mark.time > max_age:
        what = "an image " if mark.is_image else ""
        return Verdict(False, f"{what}older than {max_age / _DAY:g} days")
    if rank is None:
        return Verdict(True, "an image that is not too old")
    if last is not None and max_age is None and retention.max_bytes is None:
        return Verdict(False, f"not among the newest {last}")
    return Verdict(True)


def _shrink(verdicts: dict[Mark, Verdict], most: int, table: BlobTable) -> None:
    """Let the oldest of the names that no rule keeps go, until the rest fits into `most` bytes."""
    uses = Counter(number for item in _staying(verdicts) for number in item.blobs)
    total = table.total(uses)
    for item in reversed(list(_staying(verdicts))):
        if total <= most:
            return
        if verdicts[item].reason:
            continue
        uses.subtract(item.blobs)
        total -= table.total(number for number in item.blobs if not uses[number])
        verdicts[item] = Verdict(False, "the oldest of what was too much")


def _staying(verdicts: dict[Mark, Verdict]) -> Iterable[Mark]:
    return [item for item, verdict in verdicts.items() if verdict.stays]
