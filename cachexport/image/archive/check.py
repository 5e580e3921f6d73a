"""What must not be in an archive of images: files that lead out of it, or hide one another."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from cachexport.errors import NotFound, WireFormat
from cachexport.image.archive.docker import DOCKER_MANIFEST_FILE, SavedImage, read_saved_images
from cachexport.image.select import images_of, read_image
from cachexport.oci.layout import INDEX

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterator

    from cachexport.image.archive.read import Archive
    from cachexport.image.select import Image
    from cachexport.oci.descriptor import Descriptor


class Strictness:
    """A `Check` for `open_tar`: each member has to be a file, a folder or a link in the archive.

    Every name may be there once. Nothing is ever unpacked here, but who passes an archive on
    passes on what is in it.
    """

    def __init__(self) -> None:
        self._files: set[str] = set()

    def __call__(self, member: tarfile.TarInfo) -> None:
        """Raise ValueError for a member that must not be there."""
        name = posixpath.normpath(member.name)
        if not _is_inside(member.name):
            raise ValueError(f"{member.name!r} leads out of the archive")
        if member.isdir():
            return
        if name in self._files:
            raise ValueError(f"{member.name!r} is there twice")
        self._files.add(name)
        if member.issym() or member.islnk():
            _check_link(member)
        elif not member.isreg() or member.issparse():
            raise ValueError(f"{member.name!r} is neither a file nor a folder nor a link")


def check_content(archive: Archive) -> None:
    """Raise WireFormat where index.json or manifest.json names what is not in the archive.

    They have to tell of the same images too: else it would depend on the reader what is loaded.
    """
    for desc in archive.index.manifests:
        if not _has(archive, desc):
            raise WireFormat(f"{INDEX} names {desc.digest} ({desc.size} bytes), which is not there")
    if INDEX not in archive.tar.files or DOCKER_MANIFEST_FILE not in archive.tar.files:
        return
    known = {SavedImage.of(image, ()) for image in _images(archive)}
    for number, saved in enumerate(read_saved_images(archive.tar)):
        if replace(saved, repo_tags=()) not in known:
            raise WireFormat(
                f"names an image that {INDEX} does not name", f"manifest.json[{number}]"
            )


def _images(archive: Archive) -> Iterator[Image]:
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
