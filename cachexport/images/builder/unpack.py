"""Applying the entries of a layer to a directory, within limits."""

from __future__ import annotations

import errno
import logging
import os
import stat
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from cachexport.content.files.errors import translated
from cachexport.errors import FailedPrecondition, WireFormat
from cachexport.images.builder.archive import entries, file_blocks, open_archive
from cachexport.images.builder.names import OPAQUE, is_note, parse_path, removed_by, show
from cachexport.images.builder.root import Root, Spot
from cachexport.images.builder.tree import is_of_the_machine, xattrs

if TYPE_CHECKING:
    import pathlib

    from cachexport.content.protocols import Reader
    from cachexport.images.builder.archive import LayerEntry
    from cachexport.images.builder.names import Path


_FREE = 64 << 20
"""Bytes that any layer may unpack to, whatever its ratio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of what a layer may unpack to; None: no limit."""

    entries: int | None = 2_000_000
    bytes: int | None = 1 << 40
    """Of all files together, with holes."""
    ratio: float | None = 10_000.0
    """Of uncompressed to compressed bytes. gzip cannot do more than 1,032; zeros in zstd can."""


class Meter:
    """Counts what came out of one layer. Each method raises FailedPrecondition at its limit."""

    def __init__(self, limits: Limits, name: str) -> None:
        self._limits = limits
        self._name = name
        self._entries = self._bytes = self._packed = self._plain = 0

    def packed(self, count: int) -> None:
        """Count compressed bytes."""
        self._packed += count

    def plain(self, count: int) -> None:
        """Count uncompressed bytes."""
        self._plain += count
        ratio = self._limits.ratio
        if ratio is not None and self._plain > max(_FREE, ratio * self._packed):
            raise self._refusal(f"it unpacks to more than {ratio:g} times its size")

    def entry(self, size: int) -> None:
        """Count an entry whose file has `size` bytes."""
        self._entries += 1
        self._bytes += size
        entries, most = self._limits.entries, self._limits.bytes
        if entries is not None and self._entries > entries:
            raise self._refusal(f"it has more than {entries} entries")
        if most is not None and self._bytes > most:
            raise self._refusal(f"its files have more than {most} bytes")

    def _refusal(self, what: str) -> FailedPrecondition:
        return FailedPrecondition(f"{self._name} is not unpacked: {what}; allow more if it may")


_log = logging.getLogger(__name__)
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NODES = {
    tarfile.FIFOTYPE: stat.S_IFIFO,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
}
_MODE = 0o7777


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What the unpacking process may do. Root may do everything."""

    owners: bool = True
    """Give files to the owners in the layer; otherwise they belong to the process, without
    attributes that only root may set."""
    devices: bool = True
    """Make devices; otherwise an entry for one is an error."""

    @classmethod
    def of_process(cls) -> Self:
        """Give what this process may do: all of it as root, else neither."""
        is_root = os.geteuid() == 0
        return cls(owners=is_root, devices=is_root)


class Unpacker:
    """Applies one layer to `root`: `apply` for each entry, then `root.apply_deferred`.

    A path is resolved in the root as it is at that moment. OSErrors are not translated.
    """

    def __init__(self, root: Root, rights: Rights) -> None:
        self._root = root
        self._rights = rights
        self._made: set[Path] = set()
        """Paths that this layer made, and those above: its whiteouts spare them."""

    def apply(self, archive: tarfile.TarFile, member: LayerEntry) -> None:
        """Apply one entry. Raises WireFormat for an impossible one, FailedPrecondition."""
        path = parse_path(member.name)
        if not path:
            self._apply_root(member)
            return
        if any(is_note(name) for name in path):
            return
        removed = removed_by(path)
        with self._root.at(path) as spot:
            if path[-1] == OPAQUE:
                self._root.clear(spot.fd, spot.path[:-1], self._made.__contains__)
            elif removed is not None:
                beside = Spot(spot.fd, removed, (*spot.path[:-1], removed))
                self._root.remove(beside, self._made.__contains__)
            else:
                self._put(archive, member, spot)

    def _apply_root(self, member: LayerEntry) -> None:
        if not member.isdir():
            raise WireFormat("the root is not a directory", repr(member.name))
        with self._root.directory(()) as fd:
            self._set_attributes(f"/proc/self/fd/{fd}/.", member)
        self._root.defer((), member.mode & _MODE, member.mtime_ns)

    def _put(self, archive: tarfile.TarFile, member: LayerEntry, spot: Spot) -> None:
        link = self._link_source(member) if member.islnk() else None
        if link == spot.path:
            raise WireFormat("the hard link leads to itself", repr(member.name))
        if not (member.isdir() and _is_directory(spot)):
            self._root.remove(spot, lambda path: False)
            self._make(archive, member, spot, link)
        self._made.update(spot.path[:length] for length in range(1, len(spot.path) + 1))
        if not member.islnk():
            self._finish(member, spot)

    def _make(
        self, archive: tarfile.TarFile, member: LayerEntry, spot: Spot, link: Path | None
    ) -> None:
        if link is not None:
            self._hard_link(member, spot, link)
        elif member.isdir():
            os.mkdir(spot.name, 0o700, dir_fd=spot.fd)
        elif member.issym():
            os.symlink(member.linkname, spot.name, dir_fd=spot.fd)
        elif member.type in _NODES:
            self._make_node(member, spot)
        elif member.isreg():
            _write(archive, member, spot)
        else:
            raise WireFormat(f"unknown kind of entry {member.type!r}", repr(member.name))

    def _link_source(self, member: LayerEntry) -> Path:
        """Resolve the target of a hard link to a path without links."""
        try:
            path = parse_path(member.linkname)
        except WireFormat as error:
            raise error.under(f"the hard link {member.name!r} to ") from None
        if not path:
            raise WireFormat("the hard link leads to the root", repr(member.name))
        with self._root.at(path) as source:
            return source.path

    def _hard_link(self, member: LayerEntry, spot: Spot, link: Path) -> None:
        with self._root.at(link) as source:
            if source.status is None or _is_directory(source):
                raise WireFormat(
                    f"the hard link leads to {show(link)}, which is no file", repr(member.name)
                )
            os.link(
                source.name,
                spot.name,
                src_dir_fd=source.fd,
                dst_dir_fd=spot.fd,
                follow_symlinks=False,
            )

    def _make_node(self, member: LayerEntry, spot: Spot) -> None:
        if not member.isfifo() and not self._rights.devices:
            raise FailedPrecondition(f"{show(spot.path)} is a device, and none may be made")
        device = 0 if member.isfifo() else os.makedev(member.devmajor, member.devminor)
        if member.ischr() and device == 0:
            raise WireFormat("a device 0:0 is overlayfs's mark of what is gone", show(spot.path))
        os.mknod(spot.name, _NODES[member.type] | 0o600, device, dir_fd=spot.fd)

    def _finish(self, member: LayerEntry, spot: Spot) -> None:
        self._set_attributes(spot.handle, member)
        if member.isdir():
            self._root.defer(spot.path, member.mode & _MODE, member.mtime_ns)
        else:
            times = (member.mtime_ns, member.mtime_ns)
            os.utime(spot.name, ns=times, dir_fd=spot.fd, follow_symlinks=False)

    def _set_attributes(self, handle: str, member: LayerEntry) -> None:
        """Set owner, attributes and mode in this order: each may clear or forbid the others."""
        if self._rights.owners:
            os.chown(handle, member.uid, member.gid, follow_symlinks=False)
        self._set_xattrs(handle, member)
        if not member.issym():
            # The path was just made here, or is a directory: no link is followed.
            os.chmod(handle, member.mode & _MODE | (stat.S_IRWXU if member.isdir() else 0))

    def _set_xattrs(self, handle: str, member: LayerEntry) -> None:
        wanted = {name: v for name, v in member.xattrs.items() if not is_of_the_machine(name)}
        for name in set(xattrs(handle)) - wanted.keys():
            os.removexattr(handle, name, follow_symlinks=False)
        for name, value in wanted.items():
            _set_xattr(handle, name, value, is_root=self._rights.owners)


def unpack(layer: Reader, place: pathlib.Path, rights: Rights, meter: Meter, name: str) -> None:
    """Apply the tar archive `layer`, which is called `name`, to the directory `place`.

    Raises WireFormat for an archive that cannot be read or would leave the directory,
    FailedPrecondition, BackendError, and what reading raises. Entries that were applied before an
    error stay.
    """
    with translated("write", place), Root(place) as root, open_archive(layer, name) as archive:
        unpacker = Unpacker(root, rights)
        for member in entries(archive):
            if member.size < 0:
                raise WireFormat("negative size", repr(member.name))
            meter.entry(member.size)
            unpacker.apply(archive, member)
        root.apply_deferred()


def _is_directory(spot: Spot) -> bool:
    status = spot.status
    return status is not None and stat.S_ISDIR(status.st_mode)


def _write(archive: tarfile.TarFile, member: LayerEntry, spot: Spot) -> None:
    fd = os.open(spot.name, _NEW_FILE, 0o600, dir_fd=spot.fd)
    try:
        for start, block in file_blocks(archive, member):
            view, at = memoryview(block), start
            while view:
                count = os.pwrite(fd, view, at)
                view, at = view[count:], at + count
        os.ftruncate(fd, member.size)
    finally:
        os.close(fd)


def _set_xattr(handle: str, name: str, value: bytes, *, is_root: bool) -> None:
    try:
        os.setxattr(handle, name, value, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            _log.warning("the file system has no attribute %s; it is left out", name)
        elif error.errno == errno.EPERM and not is_root:
            _log.warning("only root may set the attribute %s; it is left out", name)
        else:
            raise
