"""Which names stay."""

from __future__ import annotations

from array import array
from types import SimpleNamespace

import pytest

from cachexport.contract.names import BlobTable, Mark
from cachexport.contract.place import Entry
from cachexport.errors import InvalidInputError
from cachexport.upkeep.retention import Retention, judge

NOW = 1000.0


def mark(name: str, age: float | None, *, is_cache: bool = True, is_image: bool = False) -> Mark:
    time = None if age is None else NOW - age
    entry = Entry(name=name, version="1", modified=time)
    place = SimpleNamespace()
    return Mark(
        place=place,  # type: ignore[arg-type]
        entry=entry,
        is_cache=is_cache,
        is_image=is_image,
        newest=None,
        blobs=array("I"),
    )


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


def test_images_go_by_their_age_alone_and_only_when_told() -> None:
    marks = [mark("main", 50), mark("chart", 500, is_cache=False)]
    for name, age in (("young", 50), ("old", 500), ("undated", None), ("kept", 500)):
        marks.append(mark(name, age, is_cache=False, is_image=True))
    everything = {item.entry.name for item in marks}
    assert staying(marks, max_age=100.0, keep_last=1) == everything
    told = {"max_age": 100.0, "keep_names": ("k*",), "images": True}
    for further in ({}, {"keep_last": 1}, {"max_bytes": 0, "keep_last": 1}):
        assert staying(marks, **told, **further) == everything - {"old"}  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="max-age"):
        Retention(images=True, keep_last=1)
