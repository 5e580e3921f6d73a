"""What names and leases hold: the one question on which nothing may be deleted wrongly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.content.protocols import Info
from cachexport.errors import FailedPrecondition
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    import sqlite3

_GARBAGE = """
WITH RECURSIVE held (digest) AS (
    SELECT digest FROM images
    UNION SELECT resources.digest FROM resources JOIN leases ON leases.id = resources.lease
        WHERE leases.expires IS NULL OR leases.expires > ?
    UNION SELECT refers.target FROM held JOIN refers ON refers.source = held.digest
)
SELECT digest, size FROM content WHERE digest NOT IN held ORDER BY digest
"""
_LACKING = """
WITH RECURSIVE held (digest) AS (
    SELECT ?
    UNION SELECT refers.target FROM held JOIN refers ON refers.source = held.digest
)
SELECT digest FROM held WHERE digest NOT IN (SELECT digest FROM content) ORDER BY digest
"""


def is_there(index: sqlite3.Connection, digest: Digest) -> bool:
    """Say whether some content was committed and not collected since."""
    statement = "SELECT 1 FROM content WHERE digest = ?"
    return index.execute(statement, (digest,)).fetchone() is not None


def garbage(index: sqlite3.Connection, now: float) -> list[Info]:
    """Give the content that nothing holds, sorted by digest."""
    return [Info(Digest.parse(text), size) for text, size in index.execute(_GARBAGE, (now,))]


def lacking(index: sqlite3.Connection, digest: Digest) -> list[Digest]:
    """Give what is not there of `digest` and all that it refers to."""
    return [Digest.parse(text) for (text,) in index.execute(_LACKING, (digest,))]


def hold(index: sqlite3.Connection, lease: str, digest: Digest, now: float) -> None:
    """Make a lease hold `digest` and what it refers to.

    Raises FailedPrecondition when the lease lives no more: then nothing would be held.
    """
    check_lives(index, lease, now)
    index.execute("INSERT OR IGNORE INTO resources VALUES (?, ?)", (lease, digest))


def check_lives(index: sqlite3.Connection, lease: str, now: float) -> None:
    """Raise FailedPrecondition when the lease was deleted or has expired."""
    row = index.execute("SELECT expires FROM leases WHERE id = ?", (lease,)).fetchone()
    if row is None or (row[0] is not None and row[0] <= now):
        what = "is gone" if row is None else "has expired"
        raise FailedPrecondition(f"lease {lease!r} {what}; take a new, longer one and start over")
