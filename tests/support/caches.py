"""The caches that a real BuildKit exported; see tests/wire/caches/README.md."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parent.parent / "wire" / "caches"
LAYOUTS = sorted(path.parent.name for path in FOLDER.glob("*/index.json"))


def unpack(archive: Path, folder: Path) -> None:
    """Unpack what is ours; Debian's 3.11.2 knows no filters yet, later ones warn without."""
    with tarfile.open(archive) as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(folder)


def unpack_wide(folder: Path) -> Path:
    unpack(FOLDER / "wide.tar.gz", folder)
    return folder / "wide"


def files(folder: Path) -> dict[str, bytes]:
    """Give all files of a layout, but what may be left of a build's temporary folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in _walk(folder)
        if path.is_file() and "ingest" not in path.relative_to(folder).parts
    }


def raw_manifest(name: str) -> bytes:
    """Give the one manifest of a layout."""
    layout = FOLDER / name
    [entry] = json.loads((layout / "index.json").read_text())["manifests"]
    return (layout / "blobs" / entry["digest"].replace(":", "/")).read_bytes()


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir():
            yield from _walk(path)
