"""How large a config or manifest may be for BuildKit to import it."""

from __future__ import annotations

IMPORT_LIMIT = 1 << 20
"""Bytes of a config or manifest that BuildKit reads at most; it refuses to import a longer one."""
NEARLY_FULL = 768 << 10
"""From this many bytes on there is a note: a cache that grows will soon be refused."""


def size_note(kind: str, size: int, limit: int = IMPORT_LIMIT) -> str | None:
    """Say what to know about the bytes of a `kind`; None when they are few enough not to care.

    `limit` is how many somebody wants at most, where that is less than BuildKit imports.
    """
    if limit < size <= IMPORT_LIMIT:
        return f"the {kind} has {size:,} bytes, and shall have {limit:,} at most"
    if size > IMPORT_LIMIT:
        return (
            f"the {kind} has {size:,} bytes: BuildKit refuses to import one over "
            f"{IMPORT_LIMIT:,} bytes and builds as if there were no cache"
        )
    if size >= NEARLY_FULL:
        share = size / IMPORT_LIMIT
        return (
            f"the {kind} has {share:.0%} of the {IMPORT_LIMIT:,} bytes that "
            "BuildKit imports at most"
        )
    return None
