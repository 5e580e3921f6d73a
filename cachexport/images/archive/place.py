"""The file that an archive is written to."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.content.files.errors import translated
from cachexport.content.files.staged import staged, sync_directory
from cachexport.errors import FailedPrecondition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cachexport.content.files.staged import StagedFile


@contextmanager
def replacing(path: Path) -> Iterator[StagedFile]:
    """Have a file in the block that is at `path`, whole and on disk, after it.

    After an error everything is as it was. Raises FailedPrecondition when there is something else
    than a file, or no directory to put it in.
    """
    place = _place(path)
    with staged(place.parent, 0o644, place) as file:
        yield file
        file.seal()
        file.commit(place)
    sync_directory(place.parent)


def _place(path: Path) -> Path:
    """Give where the file is or will be that `path` names, perhaps through links."""
    with translated("write", path):
        place = Path(os.path.realpath(path))
        if not place.parent.is_dir():
            raise FailedPrecondition(f"cannot write {path}: there is no directory {place.parent}")
        if os.path.lexists(place) and not place.is_file():
            raise FailedPrecondition(f"cannot write {path}: it is not a regular file")
    return place
