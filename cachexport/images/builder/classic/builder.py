"""The calls of Docker's classic builder, and images as it knows them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.content.copy import ingest_bytes
from cachexport.errors import FailedPrecondition, InvalidDigest, InvalidInputError, NotFound
from cachexport.images.builder.changes import Policy
from cachexport.images.builder.classic.layers import LABEL, LayerKeeper, ReleasableLayer
from cachexport.images.config.config import complete_config, read_platform
from cachexport.images.distribution import PullPolicy
from cachexport.images.image import image_layers, is_for, read_config, select_image
from cachexport.images.manifest import encode_image_manifest
from cachexport.images.names import DANGLING
from cachexport.oci import mediatype
from cachexport.oci.compression import Compression
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.digest import Digest
from cachexport.oci.reference import Reference

if TYPE_CHECKING:
    from cachexport.images.builder.snapshots import Snapshots
    from cachexport.images.distribution import Puller
    from cachexport.images.store import Lease, NamedImage, Store
    from cachexport.oci.descriptor import Platform


PARENT = "org.mobyproject.image.parent"
"""Label of an image: the digest of the image that it was made from."""

_log = logging.getLogger(__name__)
_SYSTEMS = frozenset({"linux"})
"""Operating systems whose layers can be unpacked and made here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassicImage:
    """An image in the store."""

    name: str
    root: Descriptor
    """The target of the name."""
    descriptor: Descriptor
    """The manifest; `root` may be an index above it."""
    config: bytes
    layers: tuple[Descriptor, ...]
    """Bottom first, each with its diff ID."""

    @property
    def platform(self) -> Platform:
        """The platform in the config."""
        return read_platform(self.config)


def find_named(store: Store, reference: Reference | Digest) -> NamedImage | None:
    """Find an image by a name, or by its digest; None when there is none."""
    if isinstance(reference, Digest):
        named = (image for image in store.images.list() if image.target.digest == reference)
        return next(named, None)
    try:
        return store.images.get(str(reference))
    except NotFound:
        return None


def read_image_for(store: Store, named: NamedImage, platform: Platform) -> ClassicImage:
    """Read the image for a platform, or the only image, whatever its platform.

    Raises NotFound for an index with several images, none of them for the platform, or when parts
    of the image are not in the store; FailedPrecondition for other content; WireFormat.
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
        layers=image_layers(image, config),
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


_IMAGE_SECONDS = 3600.0
"""Seconds that a new image is held before it has its name."""


class ClassicBuilder:
    """Gives a classic build its images and layers, and stores the new ones.

    Builds for `platform` unless a call names another. `policy` is for all new layers.
    """

    def __init__(
        self,
        store: Store,
        snapshots: Snapshots,
        puller: Puller,
        *,
        platform: Platform,
        policy: Policy | None = None,
        compression: Compression = Compression.GZIP,
    ) -> None:
        self._store = store
        self._snapshots = snapshots
        self._puller = puller
        self._platform = platform
        self._keeper = LayerKeeper(
            store=store,
            snapshots=snapshots,
            compression=compression,
            policy=policy or Policy(),
        )

    def get_image_and_releasable_layer(
        self,
        ref: str,
        *,
        pull: PullPolicy = PullPolicy.MISSING,
        platform: Platform | None = None,
    ) -> tuple[ClassicImage | None, ReleasableLayer]:
        """Give an image and its topmost layer; the caller releases that.

        `ref` is a name or the digest of an image; an empty one is scratch: None and an empty layer.
        The image of the store is taken, unless `pull` says otherwise or it has none for the
        platform. When there is no better one, an image for another platform is given, with a
        warning.

        Raises NotFound when there is no such image; FailedPrecondition for an operating system that
        cannot be built for; InvalidReference; and what pulling raises. Nothing is held then.
        """
        wanted = platform or self._platform
        check_system(wanted, f"the platform {wanted}")
        lease = self._keeper.hold()
        try:
            if not ref:
                return None, self._keeper.releasable((), None, lease)
            image = self._image(_parse(ref), pull, wanted, lease)
            check_system(image.platform, f"the image {image.name}")
            warn_of_another(image, wanted)
            below, top = image.layers[:-1], image.layers[-1] if image.layers else None
            return image, self._keeper.releasable(below, top, lease)
        except BaseException:
            self._keeper.let_go(lease)
            raise

    def create_image(
        self, config: bytes, parent: ClassicImage | None, layer: ReleasableLayer | None
    ) -> ClassicImage:
        """Make the image of the parent's layers and one more, and name it after its digest.

        The layers are put into the config, and its history is completed. An empty layer, or None,
        adds nothing. The image is unpacked, and a label names its parent.

        Raises FailedPrecondition for an operating system that cannot be built for; WireFormat for a
        damaged config; NotFound for layers that are gone; what `unpack_layer` raises. Nothing is
        left then.
        """
        check_system(read_platform(config), "the image's config")
        layers = parent.layers if parent is not None else ()
        if layer is not None and layer.descriptor is not None:
            layers = (*layers, layer.descriptor)
        whole = complete_config(config, layers)
        label = {LABEL: "true"}
        with self._store.leases.held(labels=label, seconds=_IMAGE_SECONDS) as lease:
            self._snapshots.unpack(layers, lease.id)
            manifest = self._put(whole, layers, lease)
            name = f"{DANGLING}{manifest.digest}"
            labels = {} if parent is None else {PARENT: str(parent.descriptor.digest)}
            self._store.images.put(name, manifest, labels)
        return ClassicImage(
            name=name, root=manifest, descriptor=manifest, config=whole, layers=layers
        )

    def _put(self, whole: bytes, layers: tuple[Descriptor, ...], lease: Lease) -> Descriptor:
        """Put an image's config and manifest into the store."""
        content = self._store.content.under(lease)
        manifest, raw = encode_image_manifest(whole, layers)
        ingest_bytes(content, Descriptor.of(whole, mediatype.OCI_CONFIG), whole)
        ingest_bytes(content, manifest, raw)
        return manifest

    def _image(
        self, reference: Reference | Digest, pull: PullPolicy, wanted: Platform, lease: Lease
    ) -> ClassicImage:
        found = None if pull is PullPolicy.ALWAYS else self._local(reference, wanted)
        if found is not None and (pull is PullPolicy.NEVER or is_meant(found, wanted)):
            return found
        if pull is PullPolicy.NEVER or isinstance(reference, Digest):
            if found is not None:
                return found
            raise NotFound(f"there is no image {reference} in the store; allow to pull it")
        try:
            named = self._puller.pull(reference, wanted, lease.id)
            return read_image_for(self._store, named, wanted)
        except NotFound:
            if found is None:
                raise
            return found

    def _local(self, reference: Reference | Digest, wanted: Platform) -> ClassicImage | None:
        """Give the image of the store; None when it has none, or lacks parts of it."""
        named = find_named(self._store, reference)
        try:
            return None if named is None else read_image_for(self._store, named, wanted)
        except NotFound:
            return None


def _parse(ref: str) -> Reference | Digest:
    try:
        return Digest.parse(ref.removeprefix(DANGLING))
    except InvalidDigest:
        return Reference.parse(ref)
