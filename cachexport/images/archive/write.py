"""Writing archives of images: Docker's, which are OCI layouts too, or OCI layouts alone."""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cachexport.content.files.errors import translated
from cachexport.content.files.staged import staged, sync_directory
from cachexport.content.verify import BLOCK, open_verified
from cachexport.errors import FailedPrecondition, WireFormat
from cachexport.images.archive.docker import DOCKER_MANIFEST_FILE, MANIFEST_MODE, SavedImage
from cachexport.images.archive.tarheader import END, directory_header, file_header, padding
from cachexport.images.image import select_image
from cachexport.images.names import name_entries, repo_tags
from cachexport.images.parts import take_apart
from cachexport.oci.index import Index
from cachexport.oci.layout import INDEX, LAYOUT, LAYOUT_MARK, blob_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cachexport.content.files.staged import StagedFile
    from cachexport.content.protocols import Provider
    from cachexport.images.image import Image
    from cachexport.oci.descriptor import Descriptor, Platform
    from cachexport.oci.digest import Digest


def write_docker_archive(
    target: Sink,
    provider: Provider,
    image: Descriptor,
    *,
    names: Iterable[str] | str = (),
    platform: Platform | None = None,
    manifest_mode: int = MANIFEST_MODE,
) -> Descriptor:
    """Write the archive of one image, which `docker load` and readers of OCI layouts take.

    `image` names a manifest, or an index of which only the image for `platform` is written; an
    index with one image needs no platform. Gives the descriptor of the manifest written. The same
    image, names and mode give the same bytes. Every blob is checked while it passes; after an error
    the archive is incomplete and of no use.

    Raises what `select_image` and `name_entries` raise before the first byte; then NotFound for a
    missing blob and Integrity for a corrupt one, TransferError when one cannot be read,
    BackendError when `target` cannot be written to. Nothing is closed.
    """
    found = select_image(provider, image, platform)
    entries = name_entries(found.descriptor, names)
    write_members(target, provider, _members(found, entries, manifest_mode))
    return found.descriptor


def save_docker_archive(
    path: Path | str,
    provider: Provider,
    image: Descriptor,
    *,
    names: Iterable[str] | str = (),
    platform: Platform | None = None,
    manifest_mode: int = MANIFEST_MODE,
) -> Descriptor:
    """Write the archive to `path`, which appears, or is replaced, when it is whole and on disk.

    See `write_docker_archive`. An error changes nothing. Raises FailedPrecondition, too, when
    `path` is no file, or its directory does not exist.
    """
    with replacing(Path(path)) as file:
        return write_docker_archive(
            file,
            provider,
            image,
            names=names,
            platform=platform,
            manifest_mode=manifest_mode,
        )


def _members(
    image: Image, entries: Sequence[Descriptor], manifest_mode: int
) -> Iterator[ArchiveMember]:
    blobs = (image.descriptor, image.config, *image.layers)
    yield from layout_members(image.descriptor, entries, blobs)
    saved = f"[{SavedImage.of(image, repo_tags(entries)).encode()}]".encode()
    yield ArchiveMember(name=DOCKER_MANIFEST_FILE, mode=manifest_mode, content=saved)


def write_oci_archive(
    target: Sink,
    provider: Provider,
    image: Descriptor,
    *,
    names: Iterable[str] | str = (),
    platform: Platform | None = None,
) -> Descriptor:
    """Write the archive of an image, or of an index as a whole unless a `platform` is named.

    Gives the descriptor of what its index.json names. Nondistributable layers are left out. The
    same image and names give the same bytes. Raises as `write_docker_archive` does.
    """
    parts = take_apart(provider, image, platform)
    members = layout_members(parts.root, name_entries(parts.root, names), parts.all)
    write_members(target, provider, members)
    return parts.root


def save_oci_archive(
    path: Path | str,
    provider: Provider,
    image: Descriptor,
    *,
    names: Iterable[str] | str = (),
    platform: Platform | None = None,
) -> Descriptor:
    """Write the archive to `path`, which appears, or is replaced, when it is whole and on disk.

    See `write_oci_archive`; an error changes nothing.
    """
    with replacing(Path(path)) as file:
        return write_oci_archive(file, provider, image, names=names, platform=platform)


READ_ONLY = 0o444
_INDEX_MODE = 0o644
_FOLDER_MODE = 0o755


class Sink(Protocol):
    """What an archive is written to: a file, a pipe, a socket's file."""

    def write(self, data: bytes, /) -> int | None:
        """Write `data`, and say how many bytes were written: None means all. Raises OSError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveMember:
    """A file or a directory of an archive."""

    name: str
    mode: int
    content: bytes | Descriptor | None = field(compare=False)
    """None for a directory; a descriptor stands for its blob."""


def layout_members(
    root: Descriptor, entries: Sequence[Descriptor], blobs: Iterable[Descriptor]
) -> Iterator[ArchiveMember]:
    """Give the members of a layout with these entries in its index and these blobs.

    Raises WireFormat when `root`, which leads to the blobs, gives one of them two sizes.
    """
    wanted = _unique(root, blobs)
    folders = {"blobs/", *(f"blobs/{digest.algorithm}/" for digest in wanted)}
    for folder in folders:
        yield ArchiveMember(name=folder, mode=_FOLDER_MODE, content=None)
    for digest, desc in wanted.items():
        yield ArchiveMember(name=blob_path(digest), mode=READ_ONLY, content=desc)
    index = Index(manifests=tuple(entries)).encode()
    yield ArchiveMember(name=INDEX, mode=_INDEX_MODE, content=index)
    yield ArchiveMember(name=LAYOUT, mode=READ_ONLY, content=LAYOUT_MARK)


def write_members(target: Sink, provider: Provider, members: Iterable[ArchiveMember]) -> None:
    """Write an archive, its members sorted by name, every blob checked while it passes."""
    for member in sorted(members, key=lambda each: each.name):
        _write_member(target, provider, member)
    _write(target, END)


def _unique(root: Descriptor, blobs: Iterable[Descriptor]) -> dict[Digest, Descriptor]:
    found: dict[Digest, Descriptor] = {}
    for desc in blobs:
        if found.setdefault(desc.digest, desc).size != desc.size:
            raise WireFormat(f"the manifest {root.digest} gives {desc.digest} two sizes")
    return found


def _write_member(target: Sink, provider: Provider, member: ArchiveMember) -> None:
    if member.content is None:
        _write(target, directory_header(member.name, member.mode))
    elif isinstance(member.content, bytes):
        raw = member.content
        header = file_header(member.name, member.mode, len(raw))
        _write(target, header + raw + padding(len(raw)))
    else:
        _write_blob(target, provider, member.content, member)


def _write_blob(target: Sink, provider: Provider, desc: Descriptor, member: ArchiveMember) -> None:
    with closing(open_verified(provider, desc)) as reader:
        _write(target, file_header(member.name, member.mode, desc.size))
        for block in iter(lambda: reader.read(BLOCK), b""):
            _write(target, block)
        _write(target, padding(desc.size))


def _write(target: Sink, block: bytes) -> None:
    with translated("write", "the archive"):
        while block:
            # An unbuffered file may write only a part.
            taken = target.write(block)
            block = block[len(block) if taken is None else taken :]


@contextmanager
def replacing(path: Path) -> Iterator[StagedFile]:
    """Have a file to write to in the block; after it the file is at `path`, whole and on disk.

    An error changes nothing. Raises FailedPrecondition when `path` is no file, or its directory
    does not exist.
    """
    place = _place(path)
    with staged(place.parent, 0o644, place) as file:
        yield file
        file.seal()
        file.commit(place)
    sync_directory(place.parent)


def _place(path: Path) -> Path:
    """Resolve the links in `path`, and check that a file is or can be there."""
    with translated("write", path):
        place = Path(os.path.realpath(path))
        if not place.parent.is_dir():
            raise FailedPrecondition(f"cannot write {path}: there is no directory {place.parent}")
        if os.path.lexists(place) and not place.is_file():
            raise FailedPrecondition(f"cannot write {path}: it is not a regular file")
    return place
