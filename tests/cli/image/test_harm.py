"""Archives that mean harm."""

from __future__ import annotations

import json
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cli.image.stored import archive, content
from unit.images.packing import files_of, packed

from cachexport.images.store import Store

if TYPE_CHECKING:
    from cli.commands import InProcess


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def lying(files: dict[str, bytes]) -> dict[str, bytes]:
    name = max((n for n in files if n.startswith("blobs/")), key=lambda n: len(files[n]))
    return {**files, name: b"x" * len(files[name])}


def pointing_out(files: dict[str, bytes]) -> dict[str, bytes]:
    (saved,) = json.loads(files["manifest.json"])
    saved["Layers"][0] = "../outside"
    without_index = {name: raw for name, raw in files.items() if name != "index.json"}
    return {**without_index, "manifest.json": json.dumps([saved]).encode()}


@pytest.mark.parametrize(
    ("change", "more"),
    [
        (dict, [member("../outside")]),
        (dict, [member("/outside")]),
        (dict, [member("a/../../outside")]),
        (dict, [member("link", tarfile.SYMTYPE, "../../outside")]),
        (dict, [member("link", tarfile.LNKTYPE, "/outside")]),
        (dict, [member("device", tarfile.CHRTYPE)]),
        (dict, [member("index.json")]),
        (lying, []),
        (pointing_out, []),
        (lambda files: {k: v for k, v in files.items() if "blobs" not in k}, []),
        (lambda files: {**files, "index.json": b"{"}, []),
    ],
)
def test_an_archive_that_means_harm_leaves_nothing(
    run: InProcess, folder: Path, change: Any, more: list[tarfile.TarInfo]
) -> None:
    files = files_of(Path(archive("good.tar", "app:1")).read_bytes())
    bad = packed(folder / "bad.tar", change(files), *more)
    before = sorted(path.name for path in folder.parent.iterdir())
    ran = run("image", "load", str(bad))
    assert (ran.code in (65, 70), ran.out) == (True, ""), ran.err
    assert len(ran.errors) == 1
    assert sorted(path.name for path in folder.parent.iterdir()) == before
    with Store.open(folder / "store", clock=time.time) as store:
        assert (store.images.list(), store.leases.list()) == ([], [])
    run("image", "prune")
    assert content(folder) == []
    left = {path.name for path in (folder / "store").rglob("*") if path.is_file()}
    assert left <= {"index.db", "index.db-wal", "index.db-shm", "opening.lock"}
