"""URLs, opened as file systems, and as messages may show them."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from cachexport.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Mapping

_SFTP = frozenset({"sftp", "ssh"})
GCS = frozenset({"gs", "gcs"})
_LOGGERS = ("aiohttp", "asyncssh", "fsspec", "gcsfs")
_LOGIN = re.compile(r"\A[^/@:]*(?::(?!\d+/).*)?@", re.DOTALL)
"""A name, and a password with whatever is in it; a port with a path is none."""
_EXTRAS = {**dict.fromkeys(_SFTP, "sftp"), **dict.fromkeys(GCS, "gs")}


def protocol(url: str) -> str:
    """Give what stands before `://`."""
    return url.partition("://")[0]


def shown(url: str) -> str:
    """Give a URL without logins, and without what stands behind a question mark."""
    scheme, _, rest = url.partition("://")
    place = re.split(r"[?#]", _LOGIN.sub("", rest), maxsplit=1)[0]
    return f"{scheme}://{place}".rstrip("/")


def opened(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    """Give the file system of a URL, of which nobody else has this instance, and the path there.

    Raises MissingExtra where a package for it is missing, else whatever the file system raises.
    """
    scheme = protocol(url)
    try:
        made = _class(scheme)
    except (ImportError, ValueError) as error:
        extra = _EXTRAS.get(scheme)
        need = f"pip install 'cachexport-fsspec[{extra}]'" if extra else str(error)
        raise MissingExtra(f"{shown(url)} needs more than is installed: {need}") from error
    for name in _LOGGERS:
        # Where nobody has set up a log, Python would show what they say of errors, logins and all.
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
    given = {**_defaults(scheme), **made._get_kwargs_from_urls(url), **options}
    return made(**given, skip_instance_cache=True), made._strip_protocol(url)


def _class(scheme: str) -> Any:
    if scheme in _SFTP:
        # fsspec's own goes by paramiko, which is slow and takes any host for the one that is meant.
        from sshfs import SSHFileSystem

        return SSHFileSystem
    if scheme in GCS:
        # The other class of that package asks for kinds of buckets that only Google has.
        from gcsfs.core import GCSFileSystem

        return GCSFileSystem
    import fsspec

    return fsspec.get_filesystem_class(scheme)


def _defaults(scheme: str) -> dict[str, Any]:
    """Give options that count where no others are given."""
    if scheme in _SFTP:
        return {"known_hosts": ()}  # those of the user; sshfs would trust any host
    if scheme in GCS:
        return {"use_listings_cache": False}
    return {}
