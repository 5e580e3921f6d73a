"""Which names stay."""

from __future__ import annotations

from array import array
from types import SimpleNamespace

from cachexport.maintenance.marks import BlobTable, Mark
from cachexport.maintenance.retention import Retention, judge
from cachexport.transfer.place import Entry

NOW = 1000.0


def mark(name: str, age: float | None, *, is_cache: bool = True) -> Mark:
    time = None if age is None else NOW - age
    entry = Entry(name=name, version="1", modified=time)
    place = SimpleNamespace()
    return Mark(place=place, entry=entry, is_cache=is_cache, newest=None, blobs=array("I"))  # type: ignore[arg-type]


def staying(marks: list[Mark], **rules: float) -> set[str]:
    verdicts = judge(marks, Retention(**rules), BlobTable(), NOW)  # type: ignore[arg-type]
    return {item.entry.name for item, verdict in verdicts.items() if verdict.stays}


def test_what_stays_anyway_takes_no_place_among_the_newest() -> None:
    marks = [mark("undated", None), mark("image", 1, is_cache=False)]
    marks += [mark("new", 2), mark("older", 3), mark("oldest", 4)]
    assert staying(marks, keep_last=2) == {"undated", "image", "new", "older"}


def test_what_is_exactly_as_old_as_allowed_stays() -> None:
    marks = [mark("edge", 100), mark("over", 100.5), mark("future", -50)]
    assert staying(marks, max_age=100.0) == {"edge", "future"}
