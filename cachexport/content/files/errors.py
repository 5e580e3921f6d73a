"""The errors of the file system as ours: one table, and the border that no OSError passes."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cachexport.errors import BackendError, CachexportError, FailedPrecondition, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Op = Literal["read", "write", "lock"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """The error that an errno becomes, what it says, and whether trying again may help."""

    text: str
    kind: type[CachexportError] = BackendError
    temporary: bool = False


MEANINGS: dict[int, Meaning] = {
    errno.EACCES: Meaning("permission denied"),
    errno.EPERM: Meaning("the operation is not permitted"),
    errno.EROFS: Meaning("the file system is read-only"),
    errno.ENOSPC: Meaning("disk full"),
    errno.EDQUOT: Meaning("disk full: the quota is used up"),
    errno.EFBIG: Meaning("file too large for the file system or for the limit of this process"),
    errno.ENOENT: Meaning("there is no such file or directory", NotFound),
    errno.ENOTDIR: Meaning("it is not a directory", FailedPrecondition),
    errno.EISDIR: Meaning("a directory is where a file should be", FailedPrecondition),
    errno.EEXIST: Meaning("a file is where a directory should be", FailedPrecondition),
    errno.ENOTEMPTY: Meaning("a directory is where a file should be", FailedPrecondition),
    errno.ELOOP: Meaning("symbolic links lead in a circle", FailedPrecondition),
    errno.ENAMETOOLONG: Meaning("the path is too long", FailedPrecondition),
    errno.EMFILE: Meaning("too many open files; raise the limit (ulimit -n)", temporary=True),
    errno.ENFILE: Meaning("too many open files on this machine", temporary=True),
    errno.ENOMEM: Meaning("out of memory", temporary=True),
    errno.EBUSY: Meaning("it is in use", temporary=True),
    errno.ESTALE: Meaning("the file system was mounted anew", temporary=True),
    errno.ETIMEDOUT: Meaning("the file system does not answer", temporary=True),
    errno.EIO: Meaning("input/output error; the disk may be failing"),
    errno.ENOLCK: Meaning("the file system has no locks"),
    errno.EOPNOTSUPP: Meaning("the file system cannot do this"),
    errno.ENOSYS: Meaning("the file system cannot do this"),
}
"""Every errno with a meaning of its own. Any other is a BackendError in the system's words."""

_PHRASES: dict[Op, str] = {"read": "read", "write": "write to", "lock": "lock"}


def from_os_error(error: OSError, op: Op, path: Path | str) -> CachexportError:
    """Make our error of `error`, which doing `op` to `path` met; the caller raises it from it."""
    number = error.errno or 0
    meaning = MEANINGS.get(number) or Meaning(os.strerror(number) if number else str(error))
    message = f"cannot {_PHRASES[op]} {path}: {meaning.text}"
    if meaning.kind is BackendError:
        return BackendError(message, op=op, temporary=meaning.temporary)
    if meaning.kind is NotFound and op != "read":
        # To a caller NotFound means that there is no cache; here the place itself vanished.
        return FailedPrecondition(message)
    return meaning.kind(message)


@contextmanager
def translated(op: Op, path: Path | str) -> Iterator[None]:
    """Turn an OSError of the block into our error, with the original as its cause."""
    try:
        yield
    except OSError as error:
        raise from_os_error(error, op, path) from error
