"""`reset=true`: deleting the blobs that nothing in index.json leads to."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from cachexport.backends.local.errors import translated
from cachexport.content.verify import read_blob
from cachexport.envelope.manifest import decode_manifest
from cachexport.envelope.read import METADATA_LIMIT
from cachexport.errors import CachexportError, FailedPrecondition
from cachexport.oci import mediatype

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cachexport.backends.local.layout import Layout
    from cachexport.backends.local.names import Names
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest

_log = logging.getLogger(__name__)
_READABLE = mediatype.MANIFESTS | mediatype.INDEXES


def delete_unreferenced(names: Names, *, written_before: int) -> None:
    """Delete the blobs that no entry of the index leads to and that are not newer than given.

    The time is in nanoseconds. Call it while no other export of ours is running; the time spares
    what a BuildKit that runs meanwhile has written. Where it is not certain what is needed, a
    manifest being unreadable, of an unknown kind or new, nothing is deleted. Whatever goes wrong
    is a warning: the cache is there already.
    """
    directory = names.layout.directory
    try:
        index = names.index()
        reached = _reached(names.layout, index.manifests)
        if names.index() != index:
            raise FailedPrecondition("index.json was changed meanwhile")
        _delete(names.layout, set(names.layout.digests()) - reached, written_before)
    except CachexportError as error:
        _log.warning("%s: not all that is unused was deleted: %s", directory, error)


def _reached(layout: Layout, roots: Iterable[Descriptor]) -> set[Digest]:
    """Give the digests of all that the roots lead to. Raises what makes that uncertain."""
    pending = list(roots)
    for root in pending:
        if root.media_type not in _READABLE:
            raise FailedPrecondition(f"{root.digest} has an unknown type, {root.media_type!r}")
    reached: set[Digest] = set()
    while pending:
        desc = pending.pop()
        if desc.digest not in reached and desc.media_type in _READABLE:
            pending += _children(layout, desc)
        reached.add(desc.digest)
    return reached


def _children(layout: Layout, desc: Descriptor) -> list[Descriptor]:
    manifest = decode_manifest(read_blob(layout, desc, limit=METADATA_LIMIT))
    config = [manifest.config] if manifest.config else []
    return [*config, *manifest.layers, *manifest.manifests]


def _delete(layout: Layout, digests: Iterable[Digest], written_before: int) -> None:
    for digest in sorted(digests):
        path = layout.blob(digest)
        with translated("write", path):
            if path.lstat().st_mtime_ns <= written_before:
                os.unlink(path)
                _log.info("%s: deleted the unused blob %s", layout.directory, digest)
