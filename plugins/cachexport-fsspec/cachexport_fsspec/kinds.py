"""Which file systems we know more of than that they are some."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport_fsspec.files import Files
from cachexport_fsspec.url import protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


def kind_of(url: str) -> type[Files]:
    """Give the class for the file system of a URL. Imports no file system."""
    from cachexport_fsspec.local import Local
    from cachexport_fsspec.memory import Memory
    from cachexport_fsspec.sftp import Sftp

    kinds: Mapping[str, type[Files]] = {
        "file": Local,
        "local": Local,
        "memory": Memory,
        "sftp": Sftp,
        "ssh": Sftp,
    }
    return kinds.get(protocol(url), Files)
