"""The caches that a real BuildKit exported; see tests/wire/caches/README.md."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parent.parent / "wire" / "caches"
LAYOUTS = sorted(path.parent.name for path in FOLDER.glob("*/index.json"))


def unpack_wide(folder: Path) -> Path:
    with tarfile.open(FOLDER / "wide.tar.gz") as tar:
        tar.extractall(folder, filter="data")
    return folder / "wide"


def files(folder: Path) -> dict[str, bytes]:
    """Give all files of a layout, but what may be left of a build's temporary folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in _walk(folder)
        if path.is_file() and "ingest" not in path.relative_to(folder).parts
    }


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir():
            yield from _walk(path)
