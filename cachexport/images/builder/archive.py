"""The tar archive of a layer, read strictly and written to the byte.

The standard library reads the formats: ustar, pax, GNU's long names and sparse files. What it takes
for the end of an archive when a header is damaged is an error here, and headers that would fill the
memory are refused. The same changes give the same archive.
"""

from __future__ import annotations

import os
import stat
import tarfile
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import IO, TYPE_CHECKING, Any, Self, cast

from cachexport.content.verify import BLOCK
from cachexport.errors import CachexportError, Conflict, InvalidInputError, WireFormat
from cachexport.images.builder.names import WHITEOUT, of_entry, of_file, show

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable, Iterator

    from cachexport.content.protocols import Reader
    from cachexport.images.builder.changes import Change
    from cachexport.images.builder.names import Path
    from cachexport.images.builder.tree import TreeNode


_HEADER_LIMIT = 4 << 20
"""Bytes of one extended header. Linux allows 64 KiB per extended attribute, and paths of 4 KiB."""
_EXTENDED = frozenset({tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE})
_LONG = frozenset({tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK})
_TOO_LATE = 1 << 50
"""Seconds since 1970 that no file system can store."""
_ENDS = ("EOFHeaderError", "EmptyHeaderError")
XATTR = "SCHILY.xattr."
"""Prefix of extended attributes in extended headers, which star introduced."""


class LayerEntry(tarfile.TarInfo):
    """One entry of a layer."""

    @property
    def mtime_ns(self) -> int:
        """When it was changed, in nanoseconds since 1970. Raises WireFormat."""
        text = self.pax_headers.get("mtime") or str(self.mtime)
        try:
            seconds = Decimal(text)
        except InvalidOperation:
            seconds = Decimal("NaN")
        # Checked before it becomes an integer: 1e999999999 would fill the memory.
        if not seconds.is_finite() or not -_TOO_LATE < seconds < _TOO_LATE:
            raise WireFormat(f"not a time: {text[:64]!r}", repr(self.name))
        return int(seconds * 10**9)

    @property
    def xattrs(self) -> dict[str, bytes]:
        """The extended attributes."""
        return {
            key.removeprefix(XATTR): value.encode("utf-8", "surrogateescape")
            for key, value in self.pax_headers.items()
            if key.startswith(XATTR)
        }

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        """See the standard library, which ignores errors after the first entry."""
        try:
            return super().fromtarfile(archive)
        except tarfile.HeaderError as error:
            if type(error).__name__ in _ENDS:
                raise
            raise tarfile.ReadError(f"bad header: {error}") from error

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        # Here the standard library reads the data of a header into memory.
        if self.type in _EXTENDED | _LONG and self.size > _HEADER_LIMIT:
            raise tarfile.ReadError(f"extended header of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


@contextmanager
def open_archive(reader: Reader, name: str) -> Iterator[tarfile.TarFile]:
    """Read a tar archive as a stream. Raises WireFormat for a damaged one, with its `name`."""
    try:
        with tarfile.open(
            fileobj=cast("IO[bytes]", reader),
            mode="r|",
            bufsize=BLOCK,
            tarinfo=LayerEntry,
            encoding="utf-8",
            errors="surrogateescape",
        ) as archive:
            yield archive
    except CachexportError:
        raise
    # Some errors of parsing numbers and text pass the standard library's own handling.
    except (tarfile.TarError, ValueError, EOFError, OverflowError) as error:
        raise WireFormat(f"{name} is not a tar archive that can be read: {error}") from error


def entries(archive: tarfile.TarFile) -> Iterator[LayerEntry]:
    """Read one entry after another, named as files are; earlier ones are not kept in memory."""
    while (member := archive.next()) is not None:
        archive.members = []  # type: ignore[attr-defined]
        member.name, member.linkname = of_file(member.name), of_file(member.linkname)
        yield cast("LayerEntry", member)


def file_blocks(archive: tarfile.TarFile, member: LayerEntry) -> Iterator[tuple[int, bytes]]:
    """Give a file's blocks with their positions; between them are holes.

    Has to be used before the next entry is read. Raises WireFormat.
    """
    stream = cast("IO[bytes]", archive.fileobj)
    stream.seek(member.offset_data)
    for start, size in _stretches(archive, member):
        at, end = start, start + size
        while at < end:
            block = stream.read(min(BLOCK, end - at))
            if not block:
                raise WireFormat("the archive ends in the middle of a file", repr(member.name))
            yield at, block
            at += len(block)


def _stretches(archive: tarfile.TarFile, member: LayerEntry) -> list[tuple[int, int]]:
    """Give where the stretches of data begin and how long they are, in the order of the archive."""
    sparse = cast("list[tuple[int, int]] | None", member.sparse)
    if sparse is None:
        return [(0, member.size)]
    end, stored = 0, archive.offset - member.offset_data
    for start, size in sparse:
        stored -= size
        if start < end or size < 0 or start + size > member.size or stored < 0:
            raise WireFormat("the map of the holes is wrong", repr(member.name))
        end = start + size
    return sparse


_TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
}
_SECOND = 10**9
_END = bytes(2 * tarfile.BLOCKSIZE)


def pack(changes: Iterable[Change], upper: pathlib.Path, below: Path = ()) -> Iterator[bytes]:
    """Give the blocks of the archive of `changes`, with the content that is in `upper`.

    All entries are in the directory `below`, which has an entry of its own only if it changed. Of
    files that are hard links to each other the first one has the content. Raises OSError, and
    Conflict for a file that changes while it is read.
    """
    written: set[Path] = set()
    for change in changes:
        if change.node is None:
            yield _header(_whiteout((*below, *change.path)))
            continue
        first = next(((*below, *path) for path in change.node.links if path in written), None)
        yield _header(_entry((*below, *change.path), change.node, first))
        written.add(change.path)
        if first is None and change.node.kind == stat.S_IFREG:
            yield from _content(upper.joinpath(*change.path), change.node.size)
    yield _END


def _header(entry: tarfile.TarInfo) -> bytes:
    entry.name, entry.linkname = of_entry(entry.name), of_entry(entry.linkname)
    return entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _whiteout(path: Path) -> tarfile.TarInfo:
    entry = tarfile.TarInfo("/".join((*path[:-1], WHITEOUT + path[-1])))
    entry.mode = 0
    return entry


def _entry(path: Path, node: TreeNode, first: Path | None) -> tarfile.TarInfo:
    entry = tarfile.TarInfo("/".join(path) or "./")
    entry.mode, entry.uid, entry.gid = node.mode, node.uid, node.gid
    entry.mtime = node.mtime_ns // _SECOND
    extended = _fraction(node.mtime_ns)
    if first is not None:
        entry.type, entry.linkname = tarfile.LNKTYPE, "/".join(first)
    else:
        entry.type, entry.linkname, entry.size = _TYPES[node.kind], node.target, node.size
        entry.devmajor, entry.devminor = os.major(node.device), os.minor(node.device)
        extended |= _xattrs(path, node)
    entry.pax_headers = extended
    return entry


def _xattrs(path: Path, node: TreeNode) -> dict[str, str]:
    for name, _ in node.xattrs:
        if "=" in name:
            raise InvalidInputError(f"no layer can have the attribute {name!r} of {show(path)}")
    return {XATTR + name: value.decode("utf-8", "surrogateescape") for name, value in node.xattrs}


def _fraction(mtime_ns: int) -> dict[str, str]:
    """Give the extended header of a time with a fraction, or before 1970."""
    if mtime_ns >= 0 and not mtime_ns % _SECOND:
        return {}
    seconds, nanos = divmod(abs(mtime_ns), _SECOND)
    text = f"{'-' if mtime_ns < 0 else ''}{seconds}.{nanos:09d}"
    return {"mtime": text.rstrip("0").removesuffix(".")}


def _content(place: pathlib.Path, size: int) -> Iterator[bytes]:
    left = size
    with open(place, "rb") as file:
        while block := file.read(min(BLOCK, left + 1)):
            left -= len(block)
            if left < 0:
                break
            yield block
    if left:
        raise Conflict(f"{place} changed while it was read; try again when nothing writes to it")
    yield bytes(-size % tarfile.BLOCKSIZE)
