"""Caches that a real BuildKit wrote, to be sent to a backend and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = Path(__file__).with_name("caches")
CACHES = ("copy-link", "max", "max-oci-index", "max-zstd")
"""Their names. The first two have the form that every backend keeps, to the byte."""


def real_cache(name: str) -> str:
    """Give the SPEC that reads a cache of these names."""
    return f"type=local,src={_FOLDER / name}.tar.gz"


def layout_files(folder: Path) -> dict[str, bytes]:
    """Give the content of all files of a `type=local` directory, by path; no temporary ones."""
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
