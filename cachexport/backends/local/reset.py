"""`reset=true`: deleting the blobs that nothing in index.json leads to."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from cachexport.content.files.errors import translated
from cachexport.contract.reading import (
    reached_sizes,
)
from cachexport.errors import CachexportError, FailedPrecondition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cachexport.backends.local.layout import Layout
    from cachexport.backends.local.names import Names
    from cachexport.oci.digest import Digest

_log = logging.getLogger(__name__)


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
        reached = reached_sizes(names.layout, [*index.manifests, *subject])
        if names.index() != index:
            raise FailedPrecondition("index.json was changed meanwhile")
        _delete(names.layout, set(names.layout.digests()) - reached.keys(), written_before)
    except CachexportError as error:
        _log.warning("%s: not all that is unused was deleted: %s", directory, error)


def _delete(layout: Layout, digests: Iterable[Digest], written_before: int) -> None:
    for digest in sorted(digests):
        path = layout.blob(digest)
        with translated("write", path):
            if path.lstat().st_mtime_ns <= written_before:
                os.unlink(path)
                _log.info("%s: deleted the unused blob %s", layout.directory, digest)
