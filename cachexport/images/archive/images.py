"""Opening an archive for the images in it, trusting nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cachexport.errors import InvalidReference, WireFormat
from cachexport.images.archive.check import Strictness, check_content
from cachexport.images.archive.docker import DOCKER_MANIFEST_FILE
from cachexport.images.archive.read import open_archive
from cachexport.images.archive.write import MANIFEST_MODE
from cachexport.images.names import names_of

if TYPE_CHECKING:
    from cachexport.content.protocols import Info, Reader
    from cachexport.images.archive.read import Archive
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest
    from cachexport.oci.index import Index


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedImage:
    """An image, or an index of images, that an archive has, and its whole names."""

    descriptor: Descriptor
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerArchive:
    """An archive, open until `close` or the end of a `with` block. It is a Provider."""

    content: Archive
    images: tuple[ArchivedImage, ...]
    manifest_mode: int
    """The permissions of its manifest.json, or those that one gets."""

    @property
    def place(self) -> str:
        """See Placed."""
        return self.content.place

    def open(self, desc: Descriptor, /) -> Reader:
        """See Provider."""
        return self.content.open(desc)

    def info(self, digest: Digest, /) -> Info:
        """See InfoProvider."""
        return self.content.info(digest)

    def close(self) -> None:
        """Close the archive; twice is fine. Streams that were opened go on."""
        self.content.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_docker_archive(path: Path | str) -> DockerArchive:
    """Open an archive of images: ours, BuildKit's, `docker save`'s, an OCI layout's in a tar.

    It may be gzipped. Raises NotFound when there is none, FailedPrecondition when it is something
    else, WireFormat when it is damaged or made to mislead: a name or a link that leads out of it,
    a name twice, a device, or two lists of images that differ. A blob is checked when it is read.
    The caller closes.
    """
    content = open_archive(Path(path), Strictness())
    try:
        check_content(content)
        images = _images(content.index)
    except (WireFormat, InvalidReference) as error:
        content.close()
        raise WireFormat(f"{path}: {error}") from error
    except BaseException:
        content.close()
        raise
    manifest = content.tar.files.get(DOCKER_MANIFEST_FILE)
    mode = MANIFEST_MODE if manifest is None else manifest.mode & 0o777
    return DockerArchive(content=content, images=images, manifest_mode=mode)


def _images(index: Index) -> tuple[ArchivedImage, ...]:
    entries: dict[Digest, list[Descriptor]] = {}
    for desc in index.manifests:
        entries.setdefault(desc.digest, []).append(desc)
    return tuple(
        ArchivedImage(descriptor=same[0], names=names_of(same)) for same in entries.values()
    )
