"""Archives of a layout, and those of `docker save`, to read from."""

from __future__ import annotations

import io
import posixpath
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Self

from cachexport.content.protocols import Info
from cachexport.errors import FailedPrecondition, InvalidReference, NotFound, WireFormat
from cachexport.images.archive.docker import (
    DOCKER_MANIFEST_FILE,
    MANIFEST_MODE,
    SavedImage,
    read_docker_images,
    read_saved_images,
)
from cachexport.images.archive.tarfiles import Stretch, TarFile, open_tar
from cachexport.images.image import images_of, read_image
from cachexport.images.names import names_of
from cachexport.oci.index import Index
from cachexport.oci.layout import INDEX, blob_path

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterator, Mapping

    from cachexport.content.protocols import Reader
    from cachexport.images.archive.tarfiles import MemberCheck
    from cachexport.images.image import Image
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive, open until `close`. It is a Provider and an InfoProvider."""

    tar: TarFile
    index: Index
    extra: Mapping[Digest, Stretch | bytes] = field(default_factory=dict)
    """Blobs outside of the folder `blobs`, or in memory only."""

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


def open_archive(path: Path, check: MemberCheck | None = None) -> Archive:
    """Open the archive at `path`; the caller closes. For `check` see `open_tar`.

    Raises FailedPrecondition for an archive of anything else than a layout or images, WireFormat
    for a damaged one.
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
    """The permissions of its manifest.json, or the default ones where it has none."""

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
    else, WireFormat when it is damaged or made to mislead: a name or a link that leads out of it, a
    name twice, a device, or two lists of images that differ. A blob is checked when it is read. The
    caller closes.
    """
    content = open_archive(Path(path), StrictCheck())
    try:
        check_content(content)
        images = _archived_images(content.index)
    except (WireFormat, InvalidReference) as error:
        content.close()
        raise WireFormat(f"{path}: {error}") from error
    except BaseException:
        content.close()
        raise
    manifest = content.tar.files.get(DOCKER_MANIFEST_FILE)
    mode = MANIFEST_MODE if manifest is None else manifest.mode & 0o777
    return DockerArchive(content=content, images=images, manifest_mode=mode)


def _archived_images(index: Index) -> tuple[ArchivedImage, ...]:
    entries: dict[Digest, list[Descriptor]] = {}
    for desc in index.manifests:
        entries.setdefault(desc.digest, []).append(desc)
    return tuple(
        ArchivedImage(descriptor=same[0], names=names_of(same)) for same in entries.values()
    )


class StrictCheck:
    """A `MemberCheck` that takes only files, folders, and links that stay in the archive.

    Every name may be there once. Nothing is ever unpacked here, but whoever passes an archive on
    passes on its content.
    """

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def __call__(self, member: tarfile.TarInfo) -> None:
        """Raise ValueError for a member that must not be there."""
        if not _is_inside(member.name):
            raise ValueError(f"{member.name!r} leads out of the archive")
        self._check_name(member.name, is_folder=member.isdir())
        if member.issym() or member.islnk():
            _check_link(member)
        elif not (member.isdir() or member.isreg()) or member.issparse():
            raise ValueError(f"{member.name!r} is neither a file nor a folder nor a link")

    def _check_name(self, name: str, *, is_folder: bool) -> None:
        *folders, last = accumulate(PurePosixPath(name).parts, posixpath.join, initial="")
        if last in self._files or (last in self._folders and not is_folder):
            raise ValueError(f"{name!r} is there twice")
        if not self._files.isdisjoint(folders):
            raise ValueError(f"{name!r} is in a folder that is a file")
        self._folders.update([*folders, last] if is_folder else folders)
        if not is_folder:
            self._files.add(last)


def check_content(archive: Archive) -> None:
    """Raise WireFormat where index.json or manifest.json names what is not in the archive.

    Both have to name the same images: otherwise it depends on the reader which one is loaded.
    """
    for desc in archive.index.manifests:
        if not _has(archive, desc):
            raise WireFormat(f"{INDEX} names {desc.digest} ({desc.size} bytes), which is not there")
    if INDEX not in archive.tar.files or DOCKER_MANIFEST_FILE not in archive.tar.files:
        return
    known = {SavedImage.of(image, ()) for image in _indexed_images(archive)}
    for number, saved in enumerate(read_saved_images(archive.tar)):
        if replace(saved, repo_tags=()) not in known:
            path = f"{DOCKER_MANIFEST_FILE}[{number}]"
            raise WireFormat(f"names an image that {INDEX} does not name", path)


def _indexed_images(archive: Archive) -> Iterator[Image]:
    for desc in archive.index.manifests:
        for found in images_of(archive, desc):
            # An index may name images for platforms that were left out.
            if _has(archive, found):
                yield read_image(archive, found)


def _has(archive: Archive, desc: Descriptor) -> bool:
    try:
        return archive.info(desc.digest).size == desc.size
    except NotFound:
        return False


def _check_link(member: tarfile.TarInfo) -> None:
    folder = posixpath.dirname(member.name) if member.issym() else ""
    target = posixpath.join(folder, member.linkname)
    if not _is_inside(posixpath.normpath(target)):
        raise ValueError(f"{member.name!r} is a link out of the archive, to {member.linkname!r}")


def _is_inside(name: str) -> bool:
    return not name.startswith("/") and ".." not in name.split("/")
