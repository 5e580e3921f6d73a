"""Writing an image into an archive that is Docker's and an OCI image layout at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.images.archive.docker import DOCKER_MANIFEST_FILE, SavedImage
from cachexport.images.archive.members import Member, layout_members, write_members
from cachexport.images.archive.place import replacing
from cachexport.images.names import named, repo_tags
from cachexport.images.select import select_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cachexport.content.protocols import Provider
    from cachexport.images.archive.members import Sink
    from cachexport.images.select import Image
    from cachexport.oci.descriptor import Descriptor, Platform

MANIFEST_MODE = 0o444
"""The permissions of manifest.json. BuildKit's own archives have 0644."""


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

    Raises what `select_image` and `named` raise before the first byte; then NotFound and
    Integrity for a blob that is not there or not what it should be, TransferError when it cannot
    be read, BackendError when `target` cannot be written to. Nothing is closed.
    """
    found = select_image(provider, image, platform)
    entries = named(found.descriptor, names)
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


def _members(image: Image, entries: Sequence[Descriptor], manifest_mode: int) -> Iterator[Member]:
    blobs = (image.descriptor, image.config, *image.layers)
    yield from layout_members(image.descriptor, entries, blobs)
    saved = f"[{SavedImage.of(image, repo_tags(entries)).encode()}]".encode()
    yield Member(name=DOCKER_MANIFEST_FILE, mode=manifest_mode, content=saved)
