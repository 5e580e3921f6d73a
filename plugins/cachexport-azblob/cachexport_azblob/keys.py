"""Keys, joined as paths: empty parts count for nothing, and neither do slashes beside others."""

from __future__ import annotations

import posixpath


def joined(*parts: str) -> str:
    """Join parts as BuildKit does, which cleans the whole; empty when nothing is left."""
    whole = "/".join(part for part in parts if part)
    if not whole:
        return ""
    cleaned = posixpath.normpath(whole)
    return "/" + cleaned.lstrip("/") if cleaned.startswith("/") else cleaned


def folder(*parts: str) -> str:
    """Give what the keys of all that is in a folder begin with."""
    whole = joined(*parts)
    return whole if not whole or whole.endswith("/") else whole + "/"
