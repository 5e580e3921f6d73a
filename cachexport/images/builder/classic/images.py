"""Images as a classic build knows them, and finding them in a store."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.errors import FailedPrecondition, InvalidInputError, NotFound
from cachexport.images.config.config import read_platform
from cachexport.images.layers import told_layers
from cachexport.images.select import is_for, read_config, select_image
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from cachexport.images.store import Image, Store
    from cachexport.oci.descriptor import Descriptor, Platform
    from cachexport.oci.reference import Reference

PARENT = "org.mobyproject.image.parent"
"""Label of an image: the digest of the one that it was made of."""

_log = logging.getLogger(__name__)
_SYSTEMS = frozenset({"linux"})
"""Operating systems whose layers can be unpacked and made here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassicImage:
    """An image in the store."""

    name: str
    root: Descriptor
    """What the name stands for."""
    descriptor: Descriptor
    """The manifest, which an index may have led to."""
    config: bytes
    layers: tuple[Descriptor, ...]
    """Bottom first, each with its diff ID."""

    @property
    def platform(self) -> Platform:
        """What the config says that it is for."""
        return read_platform(self.config)


def find_named(store: Store, reference: Reference | Digest) -> Image | None:
    """Give what a name, or the digest of an image, stands for; None for nothing."""
    if isinstance(reference, Digest):
        named = (image for image in store.images.list() if image.target.digest == reference)
        return next(named, None)
    try:
        return store.images.get(str(reference))
    except NotFound:
        return None


def read_image_for(store: Store, named: Image, platform: Platform) -> ClassicImage:
    """Read the image for a platform, or the only one there is, for whatever platform.

    Raises NotFound for an index that has several, none of them for it, or when parts of the
    image are not in the store; FailedPrecondition for what is no image; WireFormat.
    """
    content = store.content
    try:
        image = select_image(content, named.target, platform)
    except NotFound as error:
        try:
            image = select_image(content, named.target)
        except InvalidInputError:
            raise error from None
    config = read_config(content, image)
    return ClassicImage(
        name=named.name,
        root=named.target,
        descriptor=image.descriptor,
        config=config,
        layers=told_layers(image, config),
    )


def is_meant(image: ClassicImage, platform: Platform) -> bool:
    """Say whether an image is for a platform."""
    return is_for(image.platform, platform)


def check_system(platform: Platform, what: str) -> None:
    """Raise FailedPrecondition for an operating system that cannot be built for here."""
    if platform.os not in _SYSTEMS:
        known = ", ".join(sorted(_SYSTEMS))
        raise FailedPrecondition(
            f"{what} is for {platform.os or 'no system'}; only {known} can be built for here"
        )


def warn_of_another(image: ClassicImage, platform: Platform) -> None:
    """Log a warning when an image is not for the platform that was asked for."""
    if not is_meant(image, platform):
        _log.warning(
            "the image %s is for %s, which is not %s", image.name, image.platform, platform
        )
