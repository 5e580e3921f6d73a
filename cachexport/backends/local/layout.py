"""An OCI image layout in a directory: its paths, its state, and the blobs in it."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.files.blobs import (
    BlobReader,
    listed,
    listed_digests,
    open_regular,
    read_regular,
)
from cachexport.content.files.errors import translated
from cachexport.content.protocols import Info
from cachexport.errors import FailedPrecondition, InvalidDigest, NotFound
from cachexport.oci.digest import Digest
from cachexport.oci.index import METADATA_LIMIT
from cachexport.oci.layout import INDEX, LAYOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cachexport.oci.descriptor import Descriptor

_MARKS = frozenset({INDEX, LAYOUT})
# What an unfinished first export leaves: buildctl makes directories first.
_BEGUN = _MARKS | {INDEX + ".lock", "blobs", "ingest"}


@dataclass(frozen=True, slots=True)
class Layout:
    """A directory that is a layout or becomes one. It is a Provider and an InfoProvider."""

    directory: Path

    @property
    def place(self) -> str:
        """See Placed."""
        return str(self.directory)

    @property
    def index(self) -> Path:
        """The file that names the caches and images."""
        return self.directory / INDEX

    @property
    def index_lock(self) -> Path:
        """The file that BuildKit locks around the use of the index, and removes afterwards."""
        return self.directory / (INDEX + ".lock")

    @property
    def mark(self) -> Path:
        """The file that says that the directory is a layout."""
        return self.directory / LAYOUT

    @property
    def blobs(self) -> Path:
        """The folder of the blobs, with a folder for each digest algorithm."""
        return self.directory / "blobs"

    @property
    def private(self) -> Path:
        """The folder for our temporary files and locks.

        It looks like one of containerd's own ingestions, which are folders in `ingest` too: a
        file there would make containerd's listing of them fail.
        """
        return self.directory / "ingest" / "cachexport"

    @property
    def exports_lock(self) -> Path:
        """The lock that exports and readers share, and that a reset holds alone."""
        return self.private / "exports.lock"

    def blob(self, digest: Digest) -> Path:
        """Give the path of the file that has the content of `digest`."""
        return self.blobs / digest.algorithm / digest.encoded

    def open(self, desc: Descriptor, /) -> BlobReader:
        """See Provider."""
        return self.open_from(desc, 0)

    def open_from(self, desc: Descriptor, start: int, /) -> BlobReader:
        """See RangedProvider."""
        path = self.blob(desc.digest)
        try:
            fd, size = open_regular(path)
        except NotFound as error:
            raise self._absent(desc.digest) from error
        return BlobReader(fd, path, start=start, size=max(0, size - start))

    def info(self, digest: Digest, /) -> Info:
        """See InfoProvider."""
        path = self.blob(digest)
        try:
            with translated("read", path):
                status = path.stat()
        except NotFound as error:
            raise self._absent(digest) from error
        if not stat.S_ISREG(status.st_mode):
            raise self._absent(digest)
        return Info(digest, status.st_size)

    def holds(self, desc: Descriptor) -> bool:
        """Whether the blob is there with the size that `desc` gives."""
        try:
            return self.info(desc.digest).size == desc.size
        except NotFound:
            return False

    def renew(self, digest: Digest) -> bool:
        """Set the time of a blob's file to now. Says whether the file is there."""
        path = self.blob(digest)
        try:
            with translated("read", path):
                os.utime(path)
        except NotFound:
            return False
        return True

    def digests(self) -> Iterator[Digest]:
        """Give the digests of all blobs. Files with other names are left out."""
        return listed_digests(self.blobs)

    def listing(self) -> Iterator[tuple[Digest, os.stat_result]]:
        """Give all blobs with the status of their files, reading a folder at a time."""
        for folder in listed(self.blobs):
            for entry in _scanned(self.blobs / folder):
                try:
                    digest = Digest.parse(f"{folder}:{entry.name}")
                    status = entry.stat(follow_symlinks=False)
                except (InvalidDigest, FileNotFoundError):
                    continue  # no blob, or one that was deleted just now
                if not stat.S_ISDIR(status.st_mode):
                    yield digest, status

    def _absent(self, digest: Digest) -> NotFound:
        return NotFound(f"blob {digest} is not in {self.directory}")


def check_source(layout: Layout) -> None:
    """Raise NotFound for an empty directory, FailedPrecondition for one that is no layout."""
    with translated("read", layout.directory):
        found = frozenset(os.listdir(layout.directory))
    if found & _MARKS:
        return
    if not found <= _BEGUN:
        raise FailedPrecondition(f"{layout.directory} is not an OCI image layout")
    if "blobs" not in found:
        raise NotFound(f"nothing was exported to {layout.directory} yet")


def check_target(layout: Layout) -> None:
    """Raise FailedPrecondition when the directory is not empty and no layout."""
    try:
        with translated("read", layout.directory):
            found = frozenset(os.listdir(layout.directory))
    except NotFound:
        return
    is_layout = LAYOUT in found or (INDEX in found and _is_index(layout.index))
    if not is_layout and (INDEX in found or not found <= _BEGUN):
        raise FailedPrecondition(
            f"{layout.directory} is not empty and not an OCI image layout; "
            "give a new or an empty directory"
        )


def _is_index(path: Path) -> bool:
    """Say whether a file called index.json is that of a layout; an empty one may become it."""
    raw = read_regular(path, METADATA_LIMIT)
    try:
        value = json.loads(raw) if raw else {"manifests": []}
    except ValueError:
        return False
    return isinstance(value, dict) and isinstance(value.get("manifests"), list)


def _scanned(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with translated("read", folder), os.scandir(folder) as entries:
            return list(entries)
    except (NotFound, FailedPrecondition):
        return []
