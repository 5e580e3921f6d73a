"""Archives of a layout, and those of `docker save`, to read from."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cachexport.content.protocols import Info
from cachexport.errors import FailedPrecondition, NotFound, WireFormat
from cachexport.images.archive.docker import DOCKER_MANIFEST_FILE, read_docker_images
from cachexport.images.archive.tarfiles import Stretch, TarFile, open_tar
from cachexport.oci.index import Index
from cachexport.oci.layout import INDEX, blob_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cachexport.content.protocols import Reader
    from cachexport.images.archive.tarfiles import Check
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive, open until `close`. It is a Provider and an InfoProvider."""

    tar: TarFile
    index: Index
    extra: Mapping[Digest, Stretch | bytes] = field(default_factory=dict)
    """Blobs that lie elsewhere than in `blobs`, or in memory only."""

    @property
    def place(self) -> str:
        """See Placed."""
        return str(self.tar.path)

    def open(self, desc: Descriptor, /) -> Reader:
        """See Provider."""
        found = self._find(desc.digest)
        return io.BytesIO(found) if isinstance(found, bytes) else self.tar.open(found)

    def info(self, digest: Digest, /) -> Info:
        """See InfoProvider."""
        found = self._find(digest)
        return Info(digest, len(found) if isinstance(found, bytes) else found.size)

    def close(self) -> None:
        """Close the archive; twice is fine. Streams that were opened go on."""
        self.tar.close()

    def _find(self, digest: Digest) -> Stretch | bytes:
        if digest in self.extra:
            return self.extra[digest]
        try:
            return self.tar.find(blob_path(digest))
        except NotFound:
            raise NotFound(f"blob {digest} is not in {self.tar.path}") from None


def open_archive(path: Path, check: Check | None = None) -> Archive:
    """Open the archive at `path`; the caller closes. For `check` see `open_tar`.

    Raises FailedPrecondition when it is none of a layout or of images, WireFormat when it is
    damaged.
    """
    tar = open_tar(path, check)
    try:
        return _read(tar)
    except BaseException:
        tar.close()
        raise


def _read(tar: TarFile) -> Archive:
    try:
        if INDEX in tar.files:
            return Archive(tar, Index.decode(tar.read(INDEX)))
        if DOCKER_MANIFEST_FILE in tar.files:
            return Archive(tar, *read_docker_images(tar))
    except WireFormat as error:
        raise WireFormat(f"{tar.path}: {error.problem}", error.path) from error
    raise FailedPrecondition(f"{tar.path} is not an archive of an OCI image layout or of images")
