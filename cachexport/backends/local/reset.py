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
from cachexport.oci.compression import Compression

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
        subject = [index.subject] if index.subject else []
        reached = _reached(names.layout, [*index.manifests, *subject])
        if names.index() != index:
            raise FailedPrecondition("index.json was changed meanwhile")
        _delete(names.layout, set(names.layout.digests()) - reached, written_before)
    except CachexportError as error:
        _log.warning("%s: not all that is unused was deleted: %s", directory, error)


def _reached(layout: Layout, roots: Iterable[Descriptor]) -> set[Digest]:
    """Give the digests of all that the roots lead to. Raises what makes that uncertain."""
    pending = [_known(root) for root in roots]
    reached: set[Digest] = set()
    while pending:
        desc = pending.pop()
        if desc.digest not in reached and desc.media_type in _READABLE:
            pending += _children(layout, desc)
        reached.add(desc.digest)
    return reached


def _known(desc: Descriptor) -> Descriptor:
    """Give a descriptor of which we know whether it leads on; raises for any other."""
    is_cache = desc.media_type == mediatype.CACHE_CONFIG_V0 or Compression.of(desc.media_type)
    if desc.media_type not in _READABLE and not is_cache:
        raise FailedPrecondition(f"{desc.digest} has an unknown type, {desc.media_type!r}")
    return desc


def _children(layout: Layout, desc: Descriptor) -> list[Descriptor]:
    manifest = decode_manifest(read_blob(layout, desc, limit=METADATA_LIMIT))
    single = [child for child in (manifest.config, manifest.subject) if child is not None]
    return [*single, *manifest.layers, *map(_known, manifest.manifests)]


def _delete(layout: Layout, digests: Iterable[Digest], written_before: int) -> None:
    for digest in sorted(digests):
        path = layout.blob(digest)
        with translated("write", path):
            if path.lstat().st_mtime_ns <= written_before:
                os.unlink(path)
                _log.info("%s: deleted the unused blob %s", layout.directory, digest)
