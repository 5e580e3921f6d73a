"""What the failures of file systems mean. There are dozens, and each has errors of its own."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.errors import Auth, BackendError, CachexportError, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Meaning:
    """The error that a failure becomes, what it says, and whether trying again may help."""

    text: str
    kind: type[CachexportError] = BackendError
    temporary: bool = False


_ABSENT = Meaning("", NotFound)
_LOGIN = "the login is refused; check url= and option.*"
_BROKEN = Meaning("the connection broke", temporary=True)
_SILENT = Meaning("nothing answers there; check url= and option.*", temporary=True)
_SLOW = Meaning("it took too long", temporary=True)
_BUSY = Meaning("the server is busy or failing", temporary=True)
_UNABLE = Meaning("this file system cannot do that")
_GOOGLE = "there is no login; run `gcloud auth application-default login`, or set option.token="
_HOST = Meaning("the host's key is not the known one; see ~/.ssh/known_hosts", Auth)

MEANINGS = {
    "builtins.FileNotFoundError": _ABSENT,
    "builtins.PermissionError": Meaning("permission denied", Auth),
    "builtins.IsADirectoryError": Meaning("a folder is where a file should be"),
    "builtins.NotADirectoryError": Meaning("a file is where a folder should be"),
    "builtins.FileExistsError": Meaning("something is there already"),
    "builtins.ConnectionRefusedError": _SILENT,
    "builtins.ConnectionError": _BROKEN,
    "builtins.TimeoutError": _SLOW,
    "builtins.EOFError": _BROKEN,
    "builtins.NotImplementedError": _UNABLE,
    "builtins.TypeError": Meaning("it does not take that; check option.*"),
    "socket.gaierror": Meaning("there is no such host; check url="),
    "asyncssh.misc.PermissionDenied": Meaning(_LOGIN, Auth),
    "asyncssh.misc.HostKeyNotVerifiable": _HOST,
    "asyncssh.misc.KeyExchangeFailed": Meaning("both sides have no cipher in common"),
    "asyncssh.misc.ChannelOpenError": Meaning("it allows no more sessions", temporary=True),
    "asyncssh.misc.DisconnectError": _BROKEN,
    "asyncssh.public_key.KeyImportError": Meaning("the key cannot be read; check option.*", Auth),
    "asyncssh.sftp.SFTPNoSuchFile": _ABSENT,
    "asyncssh.sftp.SFTPNoSuchPath": _ABSENT,
    "asyncssh.sftp.SFTPPermissionDenied": Meaning("permission denied", Auth),
    "asyncssh.sftp.SFTPWriteProtect": Meaning("it is read-only", Auth),
    "asyncssh.sftp.SFTPNoConnection": _BROKEN,
    "asyncssh.sftp.SFTPConnectionLost": _BROKEN,
    "asyncssh.sftp.SFTPOpUnsupported": _UNABLE,
    "asyncssh.sftp.SFTPNoSpaceOnFilesystem": Meaning("disk full"),
    "asyncssh.sftp.SFTPQuotaExceeded": Meaning("disk full: the quota is used up"),
    "google.auth.exceptions.TransportError": _SILENT,
    "google.auth.exceptions.GoogleAuthError": Meaning(_GOOGLE, Auth),
    "gcsfs.retry.ChecksumError": Meaning("what arrived is not what was sent", temporary=True),
    "aiohttp.client_exceptions.ClientConnectorError": _SILENT,
    "aiohttp.client_exceptions.ClientError": _BROKEN,
    "requests.exceptions.ConnectionError": _SILENT,
    "requests.exceptions.Timeout": _SLOW,
    "requests.exceptions.RequestException": _BROKEN,
    "httpx.ConnectError": _SILENT,
    "httpx.TimeoutException": _SLOW,
    "httpx.TransportError": _BROKEN,
    "azure.core.exceptions.ResourceNotFoundError": _ABSENT,
    "azure.core.exceptions.ClientAuthenticationError": Meaning(_LOGIN, Auth),
    "azure.core.exceptions.ServiceRequestError": _SILENT,
    "azure.core.exceptions.ServiceResponseError": _BROKEN,
    "botocore.exceptions.NoCredentialsError": Meaning("there is no login", Auth),
    "botocore.exceptions.HTTPClientError": _BROKEN,
    "botocore.exceptions.ConnectionError": _SILENT,
}
"""By class, named with its module, so that none has to be imported; the nearest base counts."""
STATUSES = {
    401: Meaning(_LOGIN, Auth),
    403: Meaning("permission denied; the login needs more", Auth),
    404: _ABSENT,
    408: _SLOW,
    429: _BUSY,
    500: _BUSY,
    502: _BUSY,
    503: _BUSY,
    504: _BUSY,
}
"""Answers of servers, where an error has one."""
_FORBIDDEN = "Forbidden"  # as gcsfs begins what it says of a 403


@contextmanager
def translated(op: str, where: str, *, retried: bool = False) -> Iterator[None]:
    """Turn what a block raises into ours; `op` and `where` say what was tried with what.

    No foreign text gets into a message: it may have a login in it. What the file system itself
    has `retried` is not temporary any more: nobody is to multiply that.
    """
    try:
        yield
    except CachexportError:
        raise
    except Exception as error:
        raise told(error, op, where, retried=retried) from error


def told(error: Exception, op: str, where: str, *, retried: bool = False) -> CachexportError:
    """Give the error that another one is."""
    meaning = _meaning(error)
    if meaning.kind is NotFound:
        return NotFound(f"{where} is not there")
    message = f"{where}: cannot {op}: {meaning.text}"
    if meaning.kind is Auth:
        return Auth(message, op=op)
    return BackendError(message, op=op, temporary=meaning.temporary and not retried)


def _meaning(error: Exception) -> Meaning:
    if str(error).startswith(_FORBIDDEN):
        return STATUSES[403]
    found = STATUSES.get(_status(error))
    if found is not None:
        return found
    for kind in type(error).__mro__:
        known = MEANINGS.get(f"{kind.__module__}.{kind.__qualname__}")
        if known is not None:
            return known
    if isinstance(error, OSError) and error.errno:
        return Meaning(os.strerror(error.errno))
    return Meaning(f"it failed with {type(error).__name__}")


def _status(error: Exception) -> int:
    """Give the status that a server answered with; 0 where there is none."""
    answer = getattr(error, "response", None)
    for found in (getattr(error, "code", None), getattr(error, "status", None)):
        if isinstance(found, int | str) and str(found).isdecimal():
            return int(found)
    status = getattr(answer, "status_code", None)
    return status if isinstance(status, int) else 0
