"""Positions of the files in a tar archive, to read them without unpacking it."""

from __future__ import annotations

import gzip
import os
import posixpath
import tarfile
import tempfile
import weakref
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.files.blobs import (
    BlobReader,
)
from cachexport.content.files.errors import translated
from cachexport.content.verify import BLOCK
from cachexport.errors import FailedPrecondition, NotFound, WireFormat
from cachexport.oci.index import METADATA_LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MemberCheck = Callable[[tarfile.TarInfo], None]

UNPACKED_LIMIT = 64 << 30
"""Bytes to which a gzipped archive may unpack."""

_GZIP = b"\x1f\x8b"
_OTHER_COMPRESSIONS = {
    b"\x28\xb5\x2f\xfd": "zstd -d",
    b"\xfd7zXZ": "unxz",
    b"BZh": "bunzip2",
    b"PK\x03\x04": "unzip",
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """The bytes of a file inside of an archive; `mode` has its permissions."""

    start: int
    size: int
    mode: int = 0o444


class TarFile:
    """An open tar archive and its regular files by name, without a leading `./`.

    Names are only keys: nothing is ever written to such a path. Owns `fd`, which is closed with it,
    at the latest when it is garbage-collected.
    """

    def __init__(self, path: Path, fd: int, check: MemberCheck | None = None) -> None:
        self.path = path
        self.files: Mapping[str, Stretch] = _files(fd, path, check)
        self._fd = fd
        self._closer = weakref.finalize(self, os.close, fd)

    def open(self, stretch: Stretch) -> BlobReader:
        """Start reading a file; the stream outlives `close`."""
        if not self._closer.alive:
            raise FailedPrecondition(f"{self.path} was closed")
        with translated("read", self.path):
            fd = os.dup(self._fd)
        return BlobReader(fd, self.path, start=stretch.start, size=stretch.size)

    def find(self, name: str) -> Stretch:
        """Look a file up. Raises NotFound."""
        try:
            return self.files[name.removeprefix("./")]
        except KeyError:
            raise NotFound(f"{name} is not in {self.path}") from None

    def read(self, name: str) -> bytes:
        """Give the whole content of a small file. Raises NotFound, and WireFormat for a large."""
        stretch = self.find(name)
        if stretch.size > METADATA_LIMIT:
            raise WireFormat(f"{self.path}: {name} is too large ({stretch.size} bytes)")
        with closing(self.open(stretch)) as reader:
            return b"".join(iter(lambda: reader.read(BLOCK), b""))

    def close(self) -> None:
        """Close the archive; twice is fine."""
        self._closer()


def open_tar(path: Path, check: MemberCheck | None = None) -> TarFile:
    """Open an archive, plain or gzipped; the caller closes.

    `check` is called for each member and raises ValueError for one that must not be there; without
    it only regular files and links count.

    A gzipped one is unpacked into an unnamed temporary file first, since blobs are read in any
    order; up to `UNPACKED_LIMIT` bytes. Raises FailedPrecondition for a file that is no archive,
    WireFormat for a damaged one.
    """
    with translated("read", path):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fd = _unpacked(fd, path)
        return TarFile(path, fd, check)
    except BaseException:
        os.close(fd)
        raise


def _unpacked(fd: int, path: Path) -> int:
    """Give a file descriptor with the plain archive: the same one, or another for it."""
    with translated("read", path):
        magic = os.pread(fd, 8, 0)
    for start, command in _OTHER_COMPRESSIONS.items():
        if magic.startswith(start):
            raise FailedPrecondition(f"{path} is compressed; unpack it first ({command})")
    if not magic.startswith(_GZIP):
        return fd
    plain = _gunzip(fd, path)
    os.close(fd)
    return plain


def _gunzip(fd: int, path: Path) -> int:
    with translated("write", "the folder for temporary files"):
        target = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by the next line
    with target, os.fdopen(os.dup(fd), "rb") as packed, gzip.open(packed) as source:
        left = UNPACKED_LIMIT
        while block := _gunzipped(source, path):
            left -= len(block)
            if left < 0:
                raise FailedPrecondition(f"{path} unpacks to over {UNPACKED_LIMIT} bytes")
            with translated("write", tempfile.gettempdir()):
                view = memoryview(block)
                while view:
                    view = view[target.write(view) :]
        return os.dup(target.fileno())


def _gunzipped(source: gzip.GzipFile, path: Path) -> bytes:
    with translated("read", path):
        try:
            return source.read(BLOCK)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise WireFormat(f"{path}: damaged gzip: {error}") from error


def _files(fd: int, path: Path, check: MemberCheck | None) -> dict[str, Stretch]:
    files: dict[str, Stretch] = {}
    links: dict[str, str] = {}
    with translated("read", path), os.fdopen(os.dup(fd), "rb") as file:
        file.seek(0)
        try:
            archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 - holds nothing
        except tarfile.TarError as error:
            raise FailedPrecondition(f"{path} is neither a directory nor a tar archive") from error
        try:
            for member in archive:
                if check is not None:
                    check(member)
                _note(member, files, links)
        except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
            raise WireFormat(f"{path}: damaged tar archive: {error}") from error
        except MemoryError:
            raise WireFormat(f"{path}: damaged tar archive: a header without end") from None
    # Older versions of Docker write a shared layer once, and links to it.
    return _unfolded({name: files[to] for name, to in links.items() if to in files} | files)


def _unfolded(files: dict[str, Stretch]) -> dict[str, Stretch]:
    """Leave out the top folder of an archive whose whole content is in one folder."""
    folders = {name.partition("/")[0] for name in files}
    if len(folders) != 1 or not all("/" in name for name in files):
        return files
    return {name.partition("/")[2]: stretch for name, stretch in files.items()}


def _note(member: tarfile.TarInfo, files: dict[str, Stretch], links: dict[str, str]) -> None:
    name = member.name.removeprefix("./")
    if member.size < 0:
        # Python before 3.11.14 would loop for ever.
        raise ValueError(f"{name!r} has a negative size")
    if member.isreg() and not member.issparse():
        files[name] = Stretch(member.offset_data, member.size, member.mode & 0o7777)
    elif member.islnk():
        links[name] = member.linkname.removeprefix("./")
    elif member.issym():
        links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
