"""A folder for trying things out, beside the blobs of a layout or where one is to be made."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.content.files.errors import translated

if TYPE_CHECKING:
    from cachexport.backends.local.layout import Layout

_log = logging.getLogger(__name__)
_NAME = "cachexport-doctor-"


class Scratch:
    """A folder on the file system of a layout, made when it is first asked for.

    It has a name of its own, so any number of them do not meet.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._folder: Path | None = None
        self._parent_is_ours = False

    @property
    def folder(self) -> Path:
        """The folder, empty at first. Raises BackendError or FailedPrecondition."""
        if self._folder is None:
            with translated("write", self._layout.directory):
                self._folder = self._make()
        return self._folder

    def close(self) -> None:
        """Remove it with all that is in it; what cannot be removed is a warning."""
        folder, self._folder = self._folder, None
        if folder is None:
            return
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            _log.warning("%s cannot be removed; remove it by hand", folder)
        if self._parent_is_ours:
            # An export that begins just now may have made its own folder in it: then it stays.
            with suppress(OSError):
                folder.parent.rmdir()

    def _make(self) -> Path:
        name = _NAME + secrets.token_hex(8)
        if not self._layout.directory.is_dir():
            # Making the directory itself would show others a layout that is none yet.
            folder = nearest_directory(self._layout.directory) / f".{name}"
        else:
            # A folder in `ingest` looks like one of containerd's ingestions: nobody minds it.
            parent = self._layout.directory / "ingest"
            self._parent_is_ours = not parent.exists()
            os.makedirs(parent, 0o755, exist_ok=True)
            folder = parent / name
        os.mkdir(folder, 0o755)
        return folder


def nearest_directory(path: Path) -> Path:
    """Give `path`, or the first directory above it that is there."""
    for candidate in (path, *path.absolute().parents):
        if candidate.is_dir():
            return candidate
    return Path("/")
