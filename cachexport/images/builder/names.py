"""Names in layers: paths, and the markers of what a layer removes.

`.wh.x` removes `x` of the layers below, `.wh..wh..opq` all that they have in its directory. Other
names that begin with `.wh..wh.` are AUFS's own notes and mean nothing. See the OCI image
specification, "Representing Changes".

A name is bytes. Python decodes those of an archive as UTF-8, and those of files as the locale says.
"""

from __future__ import annotations

import os

from cachexport.errors import InvalidInputError, WireFormat

Path = tuple[str, ...]
"""Names, from the root down; empty for the root itself."""

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
_NOTES = ".wh..wh."
_DEEPEST = 1000


def of_file(name: str) -> str:
    """Give the name of an archive's entry as that of a file with the same bytes."""
    return os.fsdecode(name.encode("utf-8", "surrogateescape"))


def of_entry(name: str) -> str:
    """Give the name of a file as that of an archive's entry with the same bytes."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")


def parse_path(text: str) -> Path:
    """Read a path in the root. Raises WireFormat for one that leads out of it."""
    parts = tuple(part for part in text.split("/") if part not in ("", "."))
    if text.startswith("/"):
        raise WireFormat("the path is absolute", repr(text))
    if ".." in parts:
        raise WireFormat("the path leads upwards", repr(text))
    if not text or "\0" in text:
        raise WireFormat("the path is none", repr(text))
    if len(parts) > _DEEPEST:
        # Otherwise a few bytes of a layer make a tree that takes minutes to walk.
        raise WireFormat(f"the path is deeper than {_DEEPEST} names", repr(f"{text[:40]}…"))
    return parts


def parse_destination(text: str) -> Path:
    """Read a path in an image, such as `/app`, which is the same as `app/`.

    Raises InvalidInputError for one that leads out of the image or has no letter.
    """
    try:
        found = parse_path("./" + text.lstrip("/")) if text else parse_path(text)
    except WireFormat as error:
        raise InvalidInputError(f"{text!r} is no path in an image: {error.problem}") from error
    if any(name.startswith(WHITEOUT) for name in found):
        raise InvalidInputError(f"no layer can have the name {text!r}: that is a marker")
    return found


def show(path: Path) -> str:
    """Give the path for a message."""
    return repr("/".join(path) or ".")


def is_note(name: str) -> bool:
    """Say whether a name is one of AUFS's notes."""
    return name.startswith(_NOTES) and name != OPAQUE


def removed_by(path: Path) -> str | None:
    """Give the name that this whiteout removes beside it; None when the path is no whiteout.

    Raises WireFormat for one without a name, or with `.` or `..`.
    """
    if not path or not path[-1].startswith(WHITEOUT):
        return None
    name = path[-1].removeprefix(WHITEOUT)
    if name in ("", ".", ".."):
        raise WireFormat("the whiteout removes no name", show(path))
    return name
