"""The checks of a local directory or archive, in the order in which `doctor` shows them."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.backends.local.attrs import LocalImport
from cachexport.backends.local.layout import Layout, check_source, check_target
from cachexport.backends.local.source import LocalSource
from cachexport.content.clock import clock
from cachexport.content.files import lock
from cachexport.content.files.errors import translated
from cachexport.content.files.mounts import mounted
from cachexport.contract.checks import Finding, Row, failed, note, ok, skipped, warning
from cachexport.errors import BackendError, CachexportError, Conflict, NotFound
from cachexport.model.chains.tie import untied
from cachexport.model.envelope.cache import WrappedCache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachexport.backends.local.attrs import LocalExport
    from cachexport.contract.checks import Check, Fact

_LOCK_TIMEOUT = 1.0
"""Seconds: whoever holds the lock of the index holds it for milliseconds, or is stuck."""
_LITTLE_SPACE = 1_000_000_000
_FEW_FILES = 10_000
_SLOW_FSYNC = 0.05
"""Seconds; every blob waits for one."""
_MAKE_ROOM = "make room; reset=true deletes after an export what no name leads to"
_ADVICE = {
    errno.EACCES: "let user {user} write there (chown, chmod), or give another directory",
    errno.EPERM: "let user {user} write there (chown, chmod, chattr), or give another directory",
    errno.EROFS: "mount it writable, or give another directory",
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
}
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "lustre"})
_NETWORK_ADVICE = (
    "what was tried here was tried on one machine; where several write, locks have to "
    "reach all of them"
)
_FILE_SYSTEMS = {
    "overlay": "a cache in a container's own layer goes with the container; mount a volume there",
    "tmpfs": "what is in memory goes with the next start; use a disk to keep a cache",
    "ramfs": "what is in memory goes with the next start; use a disk to keep a cache",
}
"""What to know about a cache on such a file system."""

_log = logging.getLogger(__name__)


class Scratch:
    """A folder for trying things out, on the file system of a layout; made at its first use.

    Its name is random, so several of them never meet.
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
        """Remove it with all that is in it. Logs a warning where that fails; twice is fine."""
        folder, self._folder = self._folder, None
        if folder is None:
            return
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            _log.warning("%s cannot be removed; remove it by hand", folder)
        if self._parent_is_ours:
            # It stays if an export has just made its own folder in it.
            with suppress(OSError):
                folder.parent.rmdir()

    def _make(self) -> Path:
        name = "cachexport-doctor-" + secrets.token_hex(8)
        if not self._layout.directory.is_dir():
            # Not in the directory: if that were made now, others would take it for a layout.
            folder = nearest_directory(self._layout.directory) / f".{name}"
        else:
            # To others a folder in `ingest` is one of containerd's ingestions.
            parent = self._layout.directory / "ingest"
            self._parent_is_ours = not parent.exists()
            os.makedirs(parent, 0o755, exist_ok=True)
            folder = parent / name
        os.mkdir(folder, 0o755)
        return folder


@dataclass(frozen=True, slots=True)
class LocalDesk:
    """Where the checks ask: a layout or an archive, and a folder to try things out in."""

    attrs: LocalImport
    is_source: bool
    """Whether the specification is that of a source: then nothing can be written."""
    layout: Layout
    scratch: Scratch

    @classmethod
    def of(cls, attrs: LocalExport | LocalImport) -> LocalDesk:
        """Make the desk for the attributes of a source or a target."""
        is_source = isinstance(attrs, LocalImport)
        source = (
            attrs if isinstance(attrs, LocalImport) else LocalImport(src=attrs.dest, tag=attrs.tag)
        )
        layout = Layout(Path(source.src))
        return cls(source, is_source, layout, Scratch(layout))


def directory(desk: LocalDesk) -> Finding:
    """See whether there is a directory that an export or an import can use."""
    path = desk.layout.directory
    with translated("read", path):
        exists, is_directory = os.path.lexists(path), path.is_dir()
    if desk.is_source and (not exists or not is_directory):
        return ok("an archive") if exists else note("not there yet", exists=False)
    if not exists:
        parent = nearest_directory(path)
        return ok(f"not there yet; an export makes it in {parent}", exists=False)
    if desk.is_source:
        # An empty directory is one that nothing was exported to yet.
        with suppress(NotFound):
            check_source(desk.layout)
    else:
        check_target(desk.layout)
    is_layout = desk.layout.mark.is_file()
    return ok("an OCI image layout" if is_layout else "empty", exists=True)


def locks(desk: LocalDesk) -> Finding:
    """See whether somebody holds a lock of the layout."""
    index, exports = desk.layout.index_lock, desk.layout.exports_lock
    try:
        if index.exists():
            lock.acquire(index, shared=True, timeout=_LOCK_TIMEOUT).close()
        if exports.exists():
            lock.acquire(exports, timeout=0).close()
    except Conflict as error:
        if str(error).startswith(str(index)):
            return failed(error)
        return note("an export or import is using the directory now", in_use=True)
    except OSError as error:
        return note(f"cannot be asked for: {error.strerror}")
    return ok("nobody holds one", in_use=False)


def read(desk: LocalDesk) -> Finding:
    """See what the tag or digest names."""
    source = LocalSource(desk.attrs)
    try:
        caches = source.load()
    except NotFound as error:
        if desk.is_source:
            return note(str(error), found="nothing")
        return ok("no cache under this tag yet", found="nothing")
    finally:
        source.close()
    if not caches:
        return note("an image without an inline cache", found="image")
    if not isinstance(caches[0], WrappedCache):
        return ok("an image with an inline cache", found="image")
    form, records = caches[0].wrapped.form, len(untied(caches[0].config).records)
    text = f"a cache with {records:,} records, as {form}"
    return ok(text, found="cache", form=form, records=records)


def space(desk: LocalDesk) -> Finding:
    """See how much room there is, and on which file system."""
    path = nearest_directory(desk.layout.directory)
    with translated("read", path):
        status = os.statvfs(path)
    free, files = status.f_bavail * status.f_frsize, status.f_favail
    kind, advice = file_system(path)
    text = f"{free / 1e9:,.1f} GB free on {kind}"
    facts: dict[str, Fact] = {"free_bytes": free, "free_files": files, "file_system": kind}
    # A file system without a table of files says that it has none, used or free.
    if status.f_files and files < _FEW_FILES:
        return warning(f"{text}, for {files:,} files", "", **facts)
    if free < _LITTLE_SPACE:
        return warning(text, "", **facts)
    return note(text, advice, **facts) if advice else ok(text, **facts)


def write(desk: LocalDesk) -> Finding:
    """See whether files and folders can be made."""
    try:
        path = desk.scratch.folder / "written"
        with translated("write", desk.layout.directory):
            path.write_bytes(b"written")
            path.chmod(0o444)
    except CachexportError as error:
        number = getattr(error.__cause__, "errno", None)
        return failed(error, _ADVICE.get(number or 0, "").format(user=os.geteuid()))
    return ok("files and folders can be made")


def replace(desk: LocalDesk) -> Finding:
    """See whether a reader of a file that is replaced keeps the old one."""
    path, staged = desk.scratch.folder / "replaced", desk.scratch.folder / "staged"
    with translated("write", desk.layout.directory):
        path.write_bytes(b"old")
        staged.write_bytes(b"new")
        with path.open("rb") as reader:
            os.replace(staged, path)
            kept, found = reader.read(), path.read_bytes()
    if (kept, found) == (b"old", b"new"):
        return ok("a file is replaced at once, its readers keep the old one")
    text = "a file that is replaced changes under those who read it"
    return failed(BackendError(f"{desk.layout.directory}: {text}", op="write"), text=text)


def flock(desk: LocalDesk) -> Finding:
    """See whether a lock keeps others out."""
    path = desk.scratch.folder / "lock"
    with translated("lock", desk.layout.directory), path.open("wb") as first:
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with path.open("wb") as second:
            try:
                fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return ok("locks keep others out")
    return warning("locks keep nobody out")


def fsync(desk: LocalDesk) -> Finding:
    """See how long a file takes to be on the disk."""
    seconds = min(_seconds_of_fsync(desk) for _ in range(3))
    milliseconds = round(seconds * 1000, 3)
    text = f"{milliseconds:,.1f} ms for a file"
    if seconds < _SLOW_FSYNC:
        return ok(text, milliseconds=milliseconds)
    return note(f"{text}: an export waits for one with each blob", milliseconds=milliseconds)


def _seconds_of_fsync(desk: LocalDesk) -> float:
    with translated("write", desk.layout.directory):
        with (desk.scratch.folder / "synced").open("wb") as file:
            file.write(bytes(4096))
            file.flush()
            started = clock().monotonic()
            os.fsync(file.fileno())
        return clock().monotonic() - started


def _not_written(desk: LocalDesk) -> Finding:
    return skipped("src= is only read; name the directory with dest= to try writing")


def file_system(path: Path) -> tuple[str, str]:
    """Name the file system of an existing path, `unknown` where nothing tells; and give advice."""
    path = path.resolve()
    best, kind = Path(), "unknown"
    for mount in mounted():
        # Of two mounts at one point the later one hides the other.
        if path.is_relative_to(mount.point) and len(mount.point.parts) >= len(best.parts):
            best, kind = mount.point, mount.kind
    is_network = kind in _NETWORK or kind.startswith("fuse.")
    return kind, _NETWORK_ADVICE if is_network else _FILE_SYSTEMS.get(kind, "")


def nearest_directory(path: Path) -> Path:
    """Give `path`, or the first directory above it that is there."""
    for candidate in (path, *path.absolute().parents):
        if candidate.is_dir():
            return candidate
    return Path("/")


_READING: tuple[Row[LocalDesk], ...] = (
    Row("directory", directory),
    Row("locks", locks, needs=("directory",)),
    Row("read", read, needs=("directory", "locks")),
)
_OF_A_SOURCE: tuple[Row[LocalDesk], ...] = (*_READING, Row("write", _not_written, writes=True))
_OF_A_TARGET: tuple[Row[LocalDesk], ...] = (
    *_READING,
    Row("space", space, needs=("directory",), advice=_MAKE_ROOM),
    Row("write", write, needs=("directory",), writes=True),
    Row(
        "replace",
        replace,
        needs=("write",),
        writes=True,
        advice="use a local file system such as ext4 or xfs",
    ),
    Row(
        "flock",
        flock,
        needs=("write",),
        writes=True,
        advice="let one build or export at a time use the directory, or put it on a file system "
        "with flock",
    ),
    Row("fsync", fsync, needs=("write",), writes=True),
)


class LocalProbe:
    """A Probe over a directory or an archive; see Probe.

    Nothing can be written where `attrs` are those of a source.
    """

    def __init__(self, attrs: LocalExport | LocalImport) -> None:
        self._desk = LocalDesk.of(attrs)

    def checks(self) -> Sequence[Check]:
        """See Probe."""
        table = _OF_A_SOURCE if self._desk.is_source else _OF_A_TARGET
        return [row.at(self._desk) for row in table]

    def close(self) -> None:
        """See Probe."""
        self._desk.scratch.close()
