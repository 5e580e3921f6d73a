"""Keys as paths of files, so that what may be a key may be a file.

A store of objects may have `a` and `a/b`, a file system cannot: a folder's name ends in `%`, but
for the first of a key, which is `blobs` or `manifests`. What is awkward in a name is
percent-encoded, and so is a dot at its beginning: no key leads out of its folder, and what begins
with a dot is ours.
"""

from __future__ import annotations

import re
from urllib.parse import unquote
from uuid import uuid4

_AWKWARD = re.compile(r'[%*?"<>|\\\[\]#\x00-\x1f\x7f]|^\.')
_FOLDER = "%"


def path_of(key: str) -> str:
    """Give the path of a key's file, relative to the folder of all."""
    *folders, name = key.split("/")
    return folder_of("".join(f"{folder}/" for folder in folders)) + _quoted(name)


def folder_of(prefix: str) -> str:
    """Give the path of the folder of all keys that begin with `prefix`, with a slash at its end."""
    first, *more = prefix.split("/")[:-1] or [""]
    if not first and not more:
        return ""
    return "".join([_quoted(first), "/", *(f"{_quoted(folder)}{_FOLDER}/" for folder in more)])


def key_of(path: str) -> str | None:
    """Give the key whose file is at a path; None for a file that is no key's."""
    first, *more = path.split("/")
    if not more:
        key = unquote(first)
    else:
        *folders, name = more
        key = "/".join(map(unquote, (first, *(it.removesuffix(_FOLDER) for it in folders), name)))
    return key if path_of(key) == path else None


def beside(path: str) -> str:
    """Give the path of the file that says what is beside another one."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}.{name}.beside"


def unfinished(path: str) -> str:
    """Give a path in the same folder that nobody else has, for what is not whole yet."""
    folder, slash, _ = path.rpartition("/")
    return f"{folder}{slash}.new-{uuid4().hex}"


def _quoted(name: str) -> str:
    return _AWKWARD.sub(lambda found: "".join(f"%{b:02X}" for b in found[0].encode()), name)
