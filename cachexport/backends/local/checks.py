"""What a local directory can do for a cache, and what is in its way."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.backends.local.attrs import LocalImport
from cachexport.backends.local.layout import Layout, check_source, check_target
from cachexport.backends.local.mounts import file_system
from cachexport.backends.local.scratch import Scratch, nearest_directory
from cachexport.backends.local.source import LocalSource
from cachexport.content.files import lock
from cachexport.content.files.errors import translated
from cachexport.contract.checks import Check, Finding, failed, note, ok, skipped, warning
from cachexport.errors import BackendError, CachexportError, Conflict, NotFound
from cachexport.model.chains.tie import untied
from cachexport.model.envelope.cache import WrappedCache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachexport.backends.local.attrs import LocalExport
    from cachexport.contract.checks import Fact

_LOCK_TIMEOUT = 1.0
"""Seconds: whoever holds the lock of the index holds it for milliseconds, or is stuck."""
_LITTLE_SPACE = 1_000_000_000
_FEW_FILES = 10_000
_SLOW_FSYNC = 0.05
"""Seconds; every blob waits for one."""
_ADVICE = {
    errno.EACCES: "let user {user} write there (chown, chmod), or give another directory",
    errno.EPERM: "let user {user} write there (chown, chmod, chattr), or give another directory",
    errno.EROFS: "mount it writable, or give another directory",
    errno.ENOSPC: "make room; reset=true deletes after an export what no name leads to",
    errno.EDQUOT: "make room; reset=true deletes after an export what no name leads to",
}


class LocalProbe:
    """A Probe over a directory or an archive; see Probe.

    Nothing can be written where `attrs` are those of a source.
    """

    def __init__(self, attrs: LocalExport | LocalImport) -> None:
        self._source = attrs if isinstance(attrs, LocalImport) else None
        self._attrs = attrs if isinstance(attrs, LocalImport) else _as_source(attrs)
        self._layout = Layout(Path(self._attrs.src))
        self._scratch = Scratch(self._layout)

    def checks(self) -> Sequence[Check]:
        """See Probe."""
        reading = (
            Check(name="directory", run=self._directory),
            Check(name="locks", run=self._locks, needs=("directory",)),
            Check(name="read", run=self._read, needs=("directory", "locks")),
        )
        if self._source is not None:
            return (*reading, Check(name="write", run=_cannot_be_written, writes=True))
        return (
            *reading,
            Check(name="space", run=self._space, needs=("directory",)),
            Check(name="write", run=self._write, needs=("directory",), writes=True),
            Check(name="replace", run=self._replace, needs=("write",), writes=True),
            Check(name="flock", run=self._flock, needs=("write",), writes=True),
            Check(name="fsync", run=self._fsync, needs=("write",), writes=True),
        )

    def close(self) -> None:
        """See Probe."""
        self._scratch.close()

    def _directory(self) -> Finding:
        directory = self._layout.directory
        with translated("read", directory):
            exists, is_directory = os.path.lexists(directory), directory.is_dir()
        if self._source is not None and (not exists or not is_directory):
            return ok("an archive") if exists else note("not there yet", exists=False)
        if not exists:
            parent = nearest_directory(directory)
            return ok(f"not there yet; an export makes it in {parent}", exists=False)
        (check_target if self._source is None else _check_readable)(self._layout)
        is_layout = self._layout.mark.is_file()
        return ok("an OCI image layout" if is_layout else "empty", exists=True)

    def _locks(self) -> Finding:
        index, exports = self._layout.index_lock, self._layout.exports_lock
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

    def _read(self) -> Finding:
        source = LocalSource(self._attrs)
        try:
            caches = source.load()
        except NotFound as error:
            return self._nothing_there(error)
        finally:
            source.close()
        if not caches:
            return note("an image without an inline cache", found="image")
        if not isinstance(caches[0], WrappedCache):
            return ok("an image with an inline cache", found="image")
        records = len(untied(caches[0].config).records)
        return ok(
            f"a cache with {records:,} records, as {caches[0].wrapped.form}",
            found="cache",
            form=caches[0].wrapped.form,
            records=records,
        )

    def _nothing_there(self, error: NotFound) -> Finding:
        if self._source is not None:
            return note(str(error), found="nothing")
        return ok("no cache under this tag yet", found="nothing")

    def _space(self) -> Finding:
        place = nearest_directory(self._layout.directory)
        with translated("read", place):
            status = os.statvfs(place)
        free, files = status.f_bavail * status.f_frsize, status.f_favail
        kind = file_system(place)
        text = f"{free / 1e9:,.1f} GB free on {kind.name}"
        facts: dict[str, Fact] = {
            "free_bytes": free,
            "free_files": files,
            "file_system": kind.name,
        }
        # A file system without a table of files says that it has none, used or free.
        if status.f_files and files < _FEW_FILES:
            return warning(f"{text}, for {files:,} files", _ADVICE[errno.ENOSPC], **facts)
        if free < _LITTLE_SPACE:
            return warning(text, _ADVICE[errno.ENOSPC], **facts)
        return note(text, kind.advice, **facts) if kind.advice else ok(text, **facts)

    def _write(self) -> Finding:
        try:
            path = self._scratch.folder / "written"
            with translated("write", self._layout.directory):
                path.write_bytes(b"written")
                path.chmod(0o444)
        except CachexportError as error:
            number = getattr(error.__cause__, "errno", None)
            return failed(error, _ADVICE.get(number or 0, "").format(user=os.geteuid()))
        return ok("files and folders can be made")

    def _replace(self) -> Finding:
        """See whether a file is replaced while somebody reads it, who keeps the old one."""
        path, staged = self._scratch.folder / "replaced", self._scratch.folder / "staged"
        with translated("write", self._layout.directory):
            path.write_bytes(b"old")
            staged.write_bytes(b"new")
            with path.open("rb") as reader:
                os.replace(staged, path)
                kept, found = reader.read(), path.read_bytes()
        if (kept, found) != (b"old", b"new"):
            text = "a file that is replaced changes under those who read it"
            error = BackendError(f"{self._layout.directory}: {text}", op="write")
            return failed(error, "use a local file system such as ext4 or xfs", text=text)
        return ok("a file is replaced at once, its readers keep the old one")

    def _flock(self) -> Finding:
        path = self._scratch.folder / "lock"
        with translated("lock", self._layout.directory), path.open("wb") as first:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with path.open("wb") as second:
                try:
                    fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return ok("locks keep others out")
        return warning(
            "locks keep nobody out",
            "let one build or export at a time use the directory, or put it on a file system "
            "with flock",
        )

    def _fsync(self) -> Finding:
        seconds = min(self._seconds_of_fsync() for _ in range(3))
        milliseconds = round(seconds * 1000, 3)
        text = f"{milliseconds:,.1f} ms for a file"
        if seconds < _SLOW_FSYNC:
            return ok(text, milliseconds=milliseconds)
        text = f"{text}: an export waits for one with each blob"
        return note(text, milliseconds=milliseconds)

    def _seconds_of_fsync(self) -> float:
        with translated("write", self._layout.directory):
            with (self._scratch.folder / "synced").open("wb") as file:
                file.write(bytes(4096))
                file.flush()
                started = time.perf_counter()
                os.fsync(file.fileno())
            return time.perf_counter() - started


def _as_source(attrs: LocalExport) -> LocalImport:
    return LocalImport(src=attrs.dest, tag=attrs.tag)


def _check_readable(layout: Layout) -> None:
    try:
        check_source(layout)
    except NotFound:
        return  # an empty directory is one that nothing was exported to yet


def _cannot_be_written() -> Finding:
    return skipped("src= is only read; name the directory with dest= to try writing")
