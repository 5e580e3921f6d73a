"""Writing images into an archive: Docker's and an OCI image layout at once, or a layout alone."""

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

    `image` names a manifest, or an index of which only the image for `platform` is written; what
    it is for may be left out where there is one image alone. Gives the descriptor of the manifest
    written. The same image, names and mode give the same bytes. Every blob is checked while it
    passes; after an error the archive has no end, and what was written is of no use.

    Raises what `select_image` and `name_entries` raise before the first byte; then NotFound and
    Integrity for a blob that is not there or not what it should be, TransferError when it cannot
    be read, BackendError when `target` cannot be written to. Nothing is closed.
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

    See `write_docker_archive`. After an error everything is as it was. Raises FailedPrecondition
    too, when there is something else than a file, or no directory to put it in.
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

    Gives the descriptor of what its index.json names. Layers that nobody may distribute are left
    out. The same image and names give the same bytes. Raises as `write_docker_archive` does.
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

    See `write_oci_archive`; after an error everything is as it was.
    """
    with replacing(Path(path)) as file:
        return write_oci_archive(file, provider, image, names=names, platform=platform)


READ_ONLY = 0o444
_INDEX_MODE = 0o644
_FOLDER_MODE = 0o755


class Sink(Protocol):
    """What an archive is written to: a file, a pipe, a socket's file."""

    def write(self, data: bytes, /) -> int | None:
        """Take `data` and say how many bytes of it: None is all. OSError when that cannot be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveMember:
    """A file or a directory of an archive."""

    name: str
    mode: int
    content: bytes | Descriptor | None = field(compare=False)
    """None is a directory; of a descriptor the blob is meant."""


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
            # A file without a buffer may take a part only.
            taken = target.write(block)
            block = block[len(block) if taken is None else taken :]


@contextmanager
def replacing(path: Path) -> Iterator[StagedFile]:
    """Have a file in the block that is at `path`, whole and on disk, after it.

    After an error everything is as it was. Raises FailedPrecondition when there is something else
    than a file, or no directory to put it in.
    """
    place = _place(path)
    with staged(place.parent, 0o644, place) as file:
        yield file
        file.seal()
        file.commit(place)
    sync_directory(place.parent)


def _place(path: Path) -> Path:
    """Give where the file is or will be that `path` names, perhaps through links."""
    with translated("write", path):
        place = Path(os.path.realpath(path))
        if not place.parent.is_dir():
            raise FailedPrecondition(f"cannot write {path}: there is no directory {place.parent}")
        if os.path.lexists(place) and not place.is_file():
            raise FailedPrecondition(f"cannot write {path}: it is not a regular file")
    return place
