"""Writing an image, or an index of images, into an archive of an OCI image layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.images.archive.members import layout_members, write_members
from cachexport.images.archive.place import replacing
from cachexport.images.names import named
from cachexport.images.parts import take_apart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cachexport.content.protocols import Provider
    from cachexport.images.archive.members import Sink
    from cachexport.oci.descriptor import Descriptor, Platform


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
    members = layout_members(parts.root, named(parts.root, names), parts.all)
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
