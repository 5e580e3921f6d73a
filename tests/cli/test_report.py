from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from cli.commands import InProcess, local
from support import caches

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MAX, BOTH = (local(caches.FOLDER / name) for name in ("max", "multi-both"))


def test_a_page_of_several_caches(run: InProcess, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    ran = run("report", MAX, BOTH, local("/nowhere"), "-o", str(page), "--progress", "quiet")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"{page}: 2 caches, no fault, 1 not there\n"
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_faults_are_told_and_fail_nothing(run: InProcess, tmp_path: Path) -> None:
    copy, page = tmp_path / "copy", tmp_path / "page.html"
    shutil.copytree(caches.FOLDER / "max", copy)
    layer = copy / "blobs/sha256/6188e3cf30dbc5658ccf95b85b0b464c486bb1d6ed25e3fb937543349ff5b2c0"
    layer.chmod(0o644)
    layer.write_bytes(b"?" * layer.stat().st_size)
    shallow = run("report", local(copy), "-o", str(page))
    assert (shallow.code, shallow.out) == (0, f"{page}: 1 cache, no fault\n")
    deep = run("report", local(copy), "-o", str(page), "--deep")
    assert (deep.code, deep.out) == (0, f"{page}: 1 cache, 1 fault\n")
    assert "corrupt" in page.read_text()


def test_one_moment_gives_the_same_bytes(
    run: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795478400")
    for path in (one, other):
        assert run("report", MAX, "-o", str(path)).code == 0
    assert one.read_bytes() == other.read_bytes()
    assert b"2026-11-24 00:00:00Z" in one.read_bytes()


def test_a_moment_that_is_none(
    run: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
    ran = run("report", MAX, "-o", str(tmp_path / "page.html"))
    assert ran.code == 2
    assert "SOURCE_DATE_EPOCH is no number of seconds: 'today'" in ran.err


def test_no_cache_no_page(run: InProcess, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    ran = run("report", local("/nowhere"), "-o", str(page))
    assert (ran.code, ran.out, page.exists()) == (66, "", False)


def test_a_page_that_cannot_be_written(run: InProcess, tmp_path: Path) -> None:
    ran = run("report", MAX, "-o", str(tmp_path / "no" / "page.html"))
    assert ran.code == 74
    assert "there is no directory" in ran.err
