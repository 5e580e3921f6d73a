from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cli.commands import InProcess, local
from support import caches

from cachexport import load_cache

if TYPE_CHECKING:
    from pathlib import Path

AMD64, ARM64 = (local(caches.FOLDER / f"multi-{name}") for name in ("amd64", "arm64"))


def merge(run: InProcess, folder: Path, *sources: str) -> str:
    ran = run("merge", *sources, "--to", local(folder, "dest"), "--progress", "quiet")
    assert (ran.code, ran.err) == (0, "")
    return str(json.loads(ran.out)["cache.manifest"])


def test_order_and_steps_do_not_matter(run: InProcess, tmp_path: Path) -> None:
    both = merge(run, tmp_path / "both", AMD64, ARM64)
    assert merge(run, tmp_path / "other", ARM64, AMD64) == both
    one = merge(run, tmp_path / "one", AMD64)
    assert one != both
    steps = merge(run, tmp_path / "steps", local(tmp_path / "one"), ARM64, local(tmp_path / "both"))
    assert steps == both


def test_one_source_is_written_as_merged(run: InProcess, tmp_path: Path) -> None:
    copied = run("export", "--cache-from", AMD64, "--cache-to", local(tmp_path / "copy", "dest"))
    merge(run, tmp_path / "merged", AMD64)
    [copy], [merged] = load_cache(local(tmp_path / "copy")), load_cache(local(tmp_path / "merged"))
    assert copied.code == 0
    assert set(copy.config.layers) == set(merged.config.layers)


def test_the_answer_goes_to_a_file_too(run: InProcess, tmp_path: Path) -> None:
    file = tmp_path / "answer.json"
    to = [word for name in "ab" for word in ("--to", local(tmp_path / name, "dest"))]
    ran = run("merge", AMD64, *to, "--metadata-file", str(file))
    assert ran.code == 0
    assert file.read_text() == ran.out
    assert len(json.loads(ran.out)) == 2


def test_without_any_cache(run: InProcess, tmp_path: Path) -> None:
    ran = run("merge", local(tmp_path / "no"), "--to", local(tmp_path / "dest", "dest"))
    assert (ran.code, ran.out) == (66, "")
    assert not (tmp_path / "dest").exists()
