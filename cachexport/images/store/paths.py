"""Where the files of a store are."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.files.blobs import (
    listed,
    listed_digests,
)
from cachexport.content.files.errors import translated
from cachexport.errors import FailedPrecondition, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cachexport.oci.digest import Digest

_INDEX = "index.db"


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths in a store's `directory`."""

    directory: Path

    @property
    def index(self) -> Path:
        """The database that says what is there and what is held."""
        return self.directory / _INDEX

    @property
    def opening_lock(self) -> Path:
        """Held while the database is made."""
        return self.directory / "opening.lock"

    @property
    def blobs(self) -> Path:
        """The folder of the blobs, with a folder for each digest algorithm."""
        return self.directory / "blobs"

    @property
    def ingests(self) -> Path:
        """The folder of what is being written."""
        return self.directory / "ingest"

    @property
    def snapshots(self) -> Path:
        """The folder of unpacked layers, and of directories made on them."""
        return self.directory / "snapshots"

    def blob(self, digest: Digest) -> Path:
        """Give the path of the file that has the content of `digest`."""
        return self.blobs / digest.algorithm / digest.encoded

    def ingest(self, ref: str) -> Path:
        """Give the path of the file that the ingestion `ref` writes; any text is a good `ref`."""
        return self.ingests / hashlib.sha256(ref.encode()).hexdigest()

    def written(self, ref: str) -> int:
        """Give the bytes that the ingestion `ref` has written so far."""
        try:
            with translated("read", self.ingests):
                return self.ingest(ref).stat().st_size
        except NotFound:
            return 0

    def size(self, digest: Digest) -> int | None:
        """Give the bytes of the file of `digest`; None when there is no such file."""
        path = self.blob(digest)
        try:
            with translated("read", path):
                status = path.lstat()
        except (NotFound, FailedPrecondition):
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def digests(self) -> Iterator[Digest]:
        """Give the digests that have a file, committed or not."""
        return listed_digests(self.blobs)

    def ingest_files(self) -> list[Path]:
        """Give the files of all ingestions."""
        return [self.ingests / name for name in listed(self.ingests)]

    def snapshot(self, number: int) -> Path:
        """Give the path of a directory of unpacked layers, or of one made on them."""
        return self.snapshots / str(number)

    def snapshot_numbers(self) -> list[int]:
        """Give the numbers of all directories, sorted."""
        return sorted(int(name) for name in listed(self.snapshots) if name.isdecimal())

    def make(self) -> None:
        """Make the folders. Raises FailedPrecondition when they would mix with other things."""
        with translated("write", self.directory):
            os.makedirs(self.directory, 0o755, exist_ok=True)
            found = os.listdir(self.directory)
            # A process that was killed while it made the store left some of these.
            begun = {path.name for path in (self.opening_lock, self.blobs, self.ingests)}
            if _INDEX not in found and not begun.issuperset(found):
                raise FailedPrecondition(
                    f"{self.directory} is not empty and no store; give a new or an empty directory"
                )
            for folder in (self.blobs, self.ingests):
                os.makedirs(folder, 0o755, exist_ok=True)
