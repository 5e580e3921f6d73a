"""Questions to the index of a store: labels, references, and what is held.

What names and leases hold is the one question whose wrong answer deletes content that is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cachexport.content.protocols import Info
from cachexport.errors import FailedPrecondition, InvalidDigest, InvalidInputError
from cachexport.model.envelope.manifest import decode_manifest
from cachexport.oci import mediatype
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping

    from cachexport.model.envelope.manifest import Manifest
    from cachexport.oci.descriptor import Descriptor


Kind = Literal["content", "image", "lease"]

REFERENCE = "containerd.io/gc.ref.content"
"""Label: other content that this content needs. A suffix tells several apart, as in
`containerd.io/gc.ref.content.l.0`; the value is the digest."""
SOURCE = "containerd.io/distribution.source."
"""Label: which repositories have this content too, with commas between; the registry's host
follows."""
READABLE = mediatype.MANIFESTS | mediatype.INDEXES
"""Media types of content whose references are read from it."""

LIMIT = 4096
"""Bytes of a label with its value."""


def check_text(text: str, what: str) -> None:
    """Raise InvalidInputError for a text that cannot be a name; `what` says of what."""
    try:
        is_good = bool(text.encode())
    except UnicodeEncodeError:
        is_good = False
    if not is_good:
        raise InvalidInputError(f"{text!r} cannot be the name of {what}")


def check_labels(labels: Mapping[str, str]) -> None:
    """Raise InvalidInputError for a label that containerd would refuse, or a bad reference."""
    for key, value in labels.items():
        check_text(key, "a label")
        check_text(key + value, "a label with its value")
        if len((key + value).encode()) > LIMIT:
            raise InvalidInputError(
                f"label {key[:64]!r} is longer than {LIMIT} bytes with its value"
            )
        if key.startswith(REFERENCE) and value:
            _check_reference(key, value)


def put_labels(
    index: sqlite3.Connection, kind: Kind, owner: str, labels: Mapping[str, str]
) -> None:
    """Set these labels and leave the others; one with an empty value is removed."""
    for key, value in labels.items():
        if value:
            statement = "INSERT OR REPLACE INTO labels VALUES (?, ?, ?, ?)"
            index.execute(statement, (kind, owner, key, value))
        else:
            statement = "DELETE FROM labels WHERE kind = ? AND owner = ? AND key = ?"
            index.execute(statement, (kind, owner, key))


def get_labels(index: sqlite3.Connection, kind: Kind, owner: str) -> dict[str, str]:
    """Give all labels, sorted by key."""
    statement = "SELECT key, value FROM labels WHERE kind = ? AND owner = ? ORDER BY key"
    return dict(index.execute(statement, (kind, owner)))


def has_labels(labels: Mapping[str, str], wanted: Mapping[str, str | None]) -> bool:
    """Say whether all `wanted` are among `labels`; None stands for any value."""
    return all(
        key in labels and (value is None or labels[key] == value) for key, value in wanted.items()
    )


def references(raw: bytes, is_here: Callable[[Digest], bool]) -> dict[str, str]:
    """Give the labels that say what a manifest or an index needs. Raises WireFormat.

    Nondistributable layers that are not there are left out: they are rarely fetched.
    """
    return {
        f"{REFERENCE}.{place}": str(desc.digest)
        for place, desc in _children(decode_manifest(raw))
        if not mediatype.is_foreign(desc.media_type) or is_here(desc.digest)
    }


def _children(manifest: Manifest) -> Iterator[tuple[str, Descriptor]]:
    if manifest.config is not None:
        yield "config", manifest.config
    for number, desc in enumerate(manifest.layers):
        yield f"l.{number}", desc
    for number, desc in enumerate(manifest.manifests):
        yield f"m.{number}", desc


def _check_reference(key: str, value: str) -> None:
    try:
        Digest.parse(value)
    except InvalidDigest as error:
        raise InvalidDigest(f"label {key!r}: {error}") from error


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


def find_garbage(index: sqlite3.Connection, now: float) -> list[Info]:
    """Give the content that nothing holds, sorted by digest."""
    return [Info(Digest.parse(text), size) for text, size in index.execute(_GARBAGE, (now,))]


def find_missing(index: sqlite3.Connection, digest: Digest) -> list[Digest]:
    """Give which of `digest` and all that it refers to are not in the store."""
    return [Digest.parse(text) for (text,) in index.execute(_LACKING, (digest,))]


def hold(index: sqlite3.Connection, lease: str, digest: Digest, now: float) -> None:
    """Make a lease hold `digest` and what it refers to.

    Raises FailedPrecondition when the lease is gone or has expired: it would hold nothing.
    """
    check_lease(index, lease, now)
    index.execute("INSERT OR IGNORE INTO resources VALUES (?, ?)", (lease, digest))


def check_lease(index: sqlite3.Connection, lease: str, now: float) -> None:
    """Raise FailedPrecondition when the lease was deleted or has expired."""
    row = index.execute("SELECT expires FROM leases WHERE id = ?", (lease,)).fetchone()
    if row is None or (row[0] is not None and row[0] <= now):
        what = "is gone" if row is None else "has expired"
        raise FailedPrecondition(f"lease {lease!r} {what}; take a new, longer one and start over")
