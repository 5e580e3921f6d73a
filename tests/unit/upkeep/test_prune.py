"""What a prune deletes, and what others do in the middle of one."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from cachexport import export_cache, verify_names
from cachexport.contract.opening import open_place
from cachexport.testing.samples import small_chains
from cachexport.upkeep.prune import Plan, prune_places
from cachexport.upkeep.retention import Retention

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600.0


def put(folder: Path, name: str, *numbers: int) -> None:
    assert export_cache(small_chains(*numbers), f"type=local,dest={folder},tag={name}")


def grow_old(folder: Path, hours: int = 100) -> None:
    for path in folder.rglob("*"):
        back = path.lstat().st_mtime - hours * HOUR
        os.utime(path, (back, back), follow_symlinks=False)


def are_whole(folder: Path) -> bool:
    return not any(found.faults for found in verify_names(f"type=local,src={folder}"))


def test_a_name_that_comes_back_as_it_was_keeps_its_blobs(tmp_path: Path) -> None:
    put(tmp_path, "main", 1)
    put(tmp_path, "pr-1", 2)
    grow_old(tmp_path)
    place = open_place(f"type=local,src={tmp_path}")
    withdraw = place.withdraw

    def withdraw_and_be_overtaken(entries):  # type: ignore[no-untyped-def]
        refused = withdraw(entries)
        put(tmp_path, "pr-1", 2)
        return refused

    place.withdraw = withdraw_and_be_overtaken  # type: ignore[method-assign]
    plan = Plan(retention=Retention(max_age=50 * HOUR), dry_run=False)
    prune_places([place], plan, 0)
    assert [entry.name for entry in place.entries()] == ["pr-1"]
    assert are_whole(tmp_path)


def test_directories_that_share_their_blobs_are_seen_as_one(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    put(first, "main", 1)
    second.mkdir()
    (second / "blobs").symlink_to(first / "blobs")
    put(second, "main", 2)
    grow_old(first)
    places = [open_place(f"type=local,src={folder}") for folder in (first, second)]
    [done] = prune_places(places, Plan(dry_run=False), 0)
    assert done.freed is not None
    assert (len(done.names), done.freed.blobs) == (2, 0)
    assert are_whole(first)
    assert are_whole(second)


def test_what_has_no_name_beside_any_of_them_stays(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    put(first, "main", 1)
    second.mkdir()
    (second / "blobs").symlink_to(first / "blobs")
    put(second, "main", 2)
    index = second / "index.json"
    index.write_text(re.sub(r',"annotations":\{[^}]*\}', "", index.read_text()))
    grow_old(first)
    places = [open_place(f"type=local,src={folder}") for folder in (first, second)]
    [done] = prune_places(places, Plan(dry_run=False), 0)
    assert done.freed is not None
    assert (len(done.names), done.freed.blobs) == (1, 0)


def test_a_folder_that_is_named_like_a_blob_is_none(tmp_path: Path) -> None:
    put(tmp_path, "main", 1)
    put(tmp_path, "gone", 2)
    folder = tmp_path / "blobs" / "sha256" / ("0" * 64)
    folder.mkdir()
    grow_old(tmp_path)
    place = open_place(f"type=local,src={tmp_path}")
    place.withdraw([entry for entry in place.entries() if entry.name == "gone"])
    [done] = prune_places([place], Plan(dry_run=False), 0)
    assert done.freed is not None
    assert done.freed.blobs == 3
    assert folder.is_dir()
    assert are_whole(tmp_path)
