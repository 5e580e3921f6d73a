"""What must not be in an archive of images: files that lead out of it, or hide one another."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from itertools import accumulate
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from cachexport.errors import NotFound, WireFormat
from cachexport.images.archive.docker import DOCKER_MANIFEST_FILE, SavedImage, read_saved_images
from cachexport.images.select import images_of, read_image
from cachexport.oci.layout import INDEX

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterator

    from cachexport.images.archive.read import Archive
    from cachexport.images.select import Image
    from cachexport.oci.descriptor import Descriptor


class Strictness:
    """A `Check` for `open_tar`: each member has to be a file, a folder or a link in the archive.

    Every name may be there once. Nothing is ever unpacked here, but who passes an archive on
    passes on what is in it.
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
            path = f"{DOCKER_MANIFEST_FILE}[{number}]"
            raise WireFormat(f"names an image that {INDEX} does not name", path)


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
