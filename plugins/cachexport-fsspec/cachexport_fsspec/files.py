"""What differs from one file system to the next; here for one of which nothing is known."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, ClassVar

from cachexport.plugin import clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

_TIMES = ("mtime", "LastModified", "last_modified", "modified", "updated")
"""How file systems call the time at which a file was last written."""


class Files:
    """A file system of fsspec. Errors are its own; threads may share it."""

    swaps: ClassVar[bool] = False
    """Whether `alone` keeps out everybody else."""
    sweeps: ClassVar[bool] = False
    """Whether it tells when a file was written, and can make it young."""

    def __init__(self, fs: Any, root: str) -> None:
        self.fs = fs
        self.root = root
        self._folders: set[str] = set()

    def info(self, path: str) -> dict[str, Any]:
        """Describe a file: at least `name` and `size`. Raises FileNotFoundError."""
        self.fs.invalidate_cache()
        found: dict[str, Any] = self.fs.info(path)
        if found.get("type") == "directory":
            raise FileNotFoundError(path)
        return found

    def walk(self, folder: str) -> Iterator[dict[str, Any]]:
        """Describe all files below a folder. fsspec's own way would pass over what it cannot list.

        Where the folder is not there, there is nothing.
        """
        self.fs.invalidate_cache()
        try:
            found = self.fs.ls(folder, detail=True)
        except FileNotFoundError:
            return
        for info in found:
            if info["type"] == "directory":
                yield from self.walk(info["name"])
            elif info["type"] == "file":
                yield info

    def modified(self, info: dict[str, Any]) -> float | None:
        """Give the seconds since 1970 at which a file was written; None if it does not tell."""
        return next((when for name in _TIMES if (when := _seconds(info.get(name)))), None)

    def load(self, path: str) -> bytes:
        """Read all of a small file."""
        found: bytes = self.fs.cat_file(path)
        return found

    def open(self, path: str, start: int) -> Any:
        """Open a file to read it from a byte on: something with `read` and `close`."""
        file = self.fs.open(path, "rb")
        if start:
            file.seek(start)
        return file

    def create(self, path: str) -> Any:
        """Open a file to write it, and make its folder: something with `write` and `close`."""
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            self.fs.makedirs(folder, exist_ok=True)
            self._folders.add(folder)
        return self.fs.open(path, "wb")

    def finish(self, file: Any) -> None:
        """Close a file that was written, so that all of it is there."""
        file.close()

    def rename(self, path: str, new: str) -> None:
        """Give a whole file another path, replacing what is there."""
        from fsspec.spec import AbstractFileSystem

        if getattr(self.fs.mv, "__func__", None) is not AbstractFileSystem.mv:
            self.fs.mv(path, new)
            return
        # As fsspec's own does, which would take the paths for patterns.
        self.fs.cp_file(path, new)
        self.fs.rm_file(path)

    def remove(self, path: str) -> None:
        """Remove a file. Raises FileNotFoundError."""
        self.fs.rm_file(path)

    def touch(self, path: str) -> None:
        """Make a file young. Raises FileNotFoundError."""
        raise NotImplementedError

    def now(self) -> float:
        """Give the seconds since 1970 by the clock that tells when files were written."""
        return clock().now()

    def alone(self, folder: str) -> AbstractContextManager[object]:
        """Keep others from writing names in a folder while a block runs, if `swaps`."""
        return nullcontext()

    def close(self) -> None:
        """Free what is held; twice is fine."""


def _seconds(found: Any) -> float | None:
    if isinstance(found, int | float):
        return float(found)
    if isinstance(found, str):
        found = _read(found)
    if isinstance(found, datetime):
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    return None


def _read(text: str) -> datetime | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return read(text)
        except ValueError:
            continue
    return None
