"""Images in a store on this machine."""

from __future__ import annotations

import re
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.content.files.errors import translated
from cachexport.content.progress import silent, step
from cachexport.errors import (
    FailedPrecondition,
    InvalidInputError,
    InvalidReference,
    NotFound,
    WireFormat,
)
from cachexport.images.archive.read import open_docker_archive
from cachexport.images.distribution import copy_image
from cachexport.images.image import OpenedImage, inspect_images
from cachexport.images.names import DANGLING
from cachexport.images.store import Store
from cachexport.images.store.leases import DAY
from cachexport.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.content.progress import Progress
    from cachexport.images.image import ImageInspection
    from cachexport.images.store import Collected, Lease, NamedImage, StoreContent
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest

_DIGITS = re.compile(r"(?:sha256:)?([0-9a-f]{7,64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """A name in a store, and those of its images that are there."""

    image: NamedImage
    inspections: tuple[ImageInspection, ...]

    @property
    def size(self) -> int:
        """The bytes of all, with what they share counted once."""
        sizes: dict[Digest, int] = {}
        for found in self.inspections:
            layers = (layer.descriptor for layer in found.layers)
            sizes |= {desc.digest: desc.size for desc in (found.manifest, found.config, *layers)}
        return sum(sizes.values())


def find_stored(store: Store, text: str) -> NamedImage:
    """Give the image of a name, completed as Docker does, or of the first digits of its digest.

    Raises NotFound, and InvalidInputError where the digits are those of several.
    """
    names = {image.name: image for image in store.images.list()}
    for name in (text, completed(text)):
        if name in names:
            return names[name]
    digits = _DIGITS.fullmatch(text)
    found = {
        image.target.digest: image
        for image in names.values()
        if digits and image.target.digest.encoded.startswith(digits[1])
    }
    if len(found) > 1:
        raise InvalidInputError(f"several images have a digest that begins with {text}")
    if not found:
        raise NotFound(f"there is no image {text!r} in {store.content.place}")
    return next(iter(found.values()))


def open_stored(store: Store, image: NamedImage) -> OpenedImage:
    """Open an image of the store; a lease holds it until it is closed.

    Raises NotFound when it is gone.
    """
    lease = store.leases.create(seconds=DAY)
    release = partial(_release, store, lease)
    try:
        store.leases.add(lease.id, image.target.digest)
    except BaseException:
        release()
        raise
    return OpenedImage(store.content, image.target, release)


def _release(store: Store, lease: Lease) -> None:
    with suppress(NotFound):
        store.leases.delete(lease.id)


def open_same(store: Store, texts: Sequence[str]) -> tuple[OpenedImage, tuple[str, ...]]:
    """Open the one image that all `texts` stand for, and give those of them that are names.

    Raises InvalidInputError when they stand for several, else as `find_stored` does.
    """
    found = {text: find_stored(store, text) for text in texts}
    if len({image.target.digest for image in found.values()}) > 1:
        raise InvalidInputError(f"{', '.join(texts)} are different images; take one at a time")
    names = [
        image.name
        for text, image in found.items()
        if image.name in (text, completed(text)) and "@" not in image.name
    ]
    return open_stored(store, next(iter(found.values()))), tuple(names)


def list_stored(store: Store) -> list[StoredImage]:
    """Describe all images of a store, sorted by name; other content has no inspections."""
    return [
        StoredImage(image=image, inspections=tuple(_inspections(store, image.target)))
        for image in store.images.list()
    ]


def load_archive(
    path: Path | str, store: Store, *, progress: Progress = silent
) -> list[NamedImage]:
    """Copy the images of an archive into a store under their names, and give these.

    Archives are `docker save`'s, BuildKit's, ours, OCI layouts'. An image without a name is called
    `moby-dangling@<digest>`. Names are published after everything is copied and checked; see
    `open_docker_archive` for what is refused.
    """
    with (
        open_docker_archive(path) as archive,
        store.leases.held(seconds=DAY) as lease,
        step(progress, f"loading images of {path}"),
    ):
        content = store.content.under(lease)
        copied = [
            (copy_image(archive, found.descriptor, content, progress=progress), found.names)
            for found in archive.images
        ]
        return [
            store.images.put(name, target)
            for target, names in copied
            for name in names or (DANGLING + target.digest,)
        ]


def prune_store(store: Store, *, all_names: bool = False, dry_run: bool = False) -> Collected:
    """Remove images without a name, expired leases, and content that nothing holds then.

    With `all_names` images with names go too, and ingestions without a writer; content that a lease
    holds stays. With `dry_run` nothing is removed, only reported.
    """
    names = [image.name for image in store.images.list("*" if all_names else f"{DANGLING}*")]
    if all_names:
        return store.collect_garbage(images=names, dry_run=dry_run, stale_after=0.0)
    return store.collect_garbage(images=names, dry_run=dry_run)


def completed(text: str) -> str:
    """Complete a name as Docker does; any other text stays as it is."""
    try:
        return str(Reference.parse(text))
    except InvalidReference:
        return text


def _inspections(store: Store, root: Descriptor) -> list[ImageInspection]:
    try:
        return inspect_images(store.content, root)
    except (FailedPrecondition, WireFormat):
        return []


@contextmanager
def workspace(store: Store | None) -> Iterator[StoreContent]:
    """Have content to write to: the store's, under a lease, or that of a temporary store."""
    with ExitStack() as stack:
        if store is None:
            folder = stack.enter_context(_temporary())
            store = stack.enter_context(Store.open(folder))
        lease = stack.enter_context(store.leases.held(seconds=DAY))
        yield store.content.under(lease)


@contextmanager
def _temporary() -> Iterator[Path]:
    with translated("write", "the folder for temporary files"):
        folder = tempfile.TemporaryDirectory(prefix="cachexport-")
    with folder as path:
        yield Path(path)
