"""Reading caches from a local directory or archive."""

from __future__ import annotations

import stat
import threading
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.backends.local.layout import Layout, check_source
from cachexport.backends.local.names import Names
from cachexport.content.files import lock
from cachexport.content.files.errors import translated
from cachexport.content.verify import read_blob
from cachexport.contract.reading import METADATA_LIMIT, read_caches
from cachexport.errors import Conflict, FailedPrecondition, Integrity, NotFound
from cachexport.model.envelope.manifest import decode_manifest
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachexport.backends.local.attrs import LocalImport
    from cachexport.content.protocols import Provider
    from cachexport.images.archive.read import Archive
    from cachexport.model.envelope.cache import Cache
    from cachexport.oci.index import Index

_DEFAULT_TAG = "latest"


class LocalSource:
    """A Source over `src`: an OCI image layout, or an archive of one or of `docker save`."""

    def __init__(self, attrs: LocalImport) -> None:
        self._attrs = attrs
        self._guard = threading.Lock()
        self._opened: Layout | Archive | None = None
        self._release: Callable[[], object] = _nothing

    @property
    def provider(self) -> Provider:
        """See Source. Opens what `src` names; raises as `load` does."""
        return self._open()

    def load(self) -> tuple[Cache, ...]:
        """See Source.

        Raises NotFound when there is no `src` or nothing under the name, FailedPrecondition when
        `src` is something else, WireFormat and Integrity when it is damaged.
        """
        content = self._open()
        desc = self._resolve(content)
        try:
            return read_caches(content, desc)
        except NotFound as error:
            # To a caller NotFound means that there is nothing under the name.
            raise Integrity(f"what {self._attrs.src} names leads nowhere: {error}") from error

    def resolve(self) -> Descriptor:
        """See ImageSource. Raises as `load` does."""
        content = self._open()
        found = self._resolve(content)
        if found.media_type:
            return found
        raw = read_blob(content, found, limit=METADATA_LIMIT)
        return replace(found, media_type=decode_manifest(raw).media_type)

    def close(self) -> None:
        """See Source."""
        with self._guard:
            if self._opened is not None and not isinstance(self._opened, Layout):
                self._opened.close()
            self._opened = None
            self._release()

    def _open(self) -> Layout | Archive:
        with self._guard:
            if self._opened is None:
                self._opened = _open(Path(self._attrs.src))
                if isinstance(self._opened, Layout):
                    self._release = _lock_out_resets(self, self._opened)
            return self._opened

    def _resolve(self, content: Layout | Archive) -> Descriptor:
        digest = self._attrs.digest
        if digest is not None:
            # The manifest itself says what it is.
            return Descriptor(digest=digest, size=content.info(digest).size)
        tag = self._attrs.tag or _DEFAULT_TAG
        if isinstance(content, Layout):
            return Names(content).resolve(tag)
        found = content.index.find(tag)
        if found is None and self._attrs.tag is None:
            found = _only(content.index)
        if found is None:
            known = content.index.known()
            raise NotFound(f"there is no {tag!r} in {self._attrs.src} ({known})")
        return found


def _lock_out_resets(source: LocalSource, layout: Layout) -> Callable[[], object]:
    """Take the lock that exports share, if there is one. Gives the function to release it."""
    path = layout.exports_lock
    try:
        taken = lock.acquire(path, shared=True) if path.exists() else None
    except (OSError, Conflict):
        # Where no lock can be taken, no reset of ours runs either.
        return _nothing
    return weakref.finalize(source, taken.close) if taken else _nothing


def _nothing() -> None:
    """Release no lock."""


def _open(path: Path) -> Layout | Archive:
    with translated("read", path):
        mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        layout = Layout(path)
        check_source(layout)
        return layout
    if not stat.S_ISREG(mode):
        raise FailedPrecondition(f"{path} is neither a directory nor a regular file")
    from cachexport.images.archive.read import open_archive

    return open_archive(path)


def _only(index: Index) -> Descriptor | None:
    """Give the one manifest of an archive, whatever its name is; None if there are several."""
    digests = {entry.digest for entry in index.manifests}
    return index.manifests[0] if len(digests) == 1 else None
