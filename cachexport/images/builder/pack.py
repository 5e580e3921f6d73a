"""The tar archive of a layer: the same changes give the same bytes."""

from __future__ import annotations

import os
import stat
import tarfile
from typing import TYPE_CHECKING

from cachexport.content.verify import BLOCK
from cachexport.errors import Conflict, InvalidInputError
from cachexport.images.builder.archive import XATTR
from cachexport.images.builder.names import WHITEOUT, of_entry, show

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable, Iterator

    from cachexport.images.builder.changes import Change
    from cachexport.images.builder.names import Path
    from cachexport.images.builder.tree import Node

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

    In the archive all lies in the directory `below`, which has no entry unless it changed itself.
    Of files that are hard links to each other the first one in the archive has the content.
    Raises OSError, and Conflict for a file that changes while it is read.
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


def _entry(path: Path, node: Node, first: Path | None) -> tarfile.TarInfo:
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


def _xattrs(path: Path, node: Node) -> dict[str, str]:
    for name, _ in node.xattrs:
        if "=" in name:
            raise InvalidInputError(f"no layer can have the attribute {name!r} of {show(path)}")
    return {XATTR + name: value.decode("utf-8", "surrogateescape") for name, value in node.xattrs}


def _fraction(mtime_ns: int) -> dict[str, str]:
    """Give the header for a time that a plain one cannot say: with a fraction, or before 1970."""
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
