"""Sources and targets of images, for backends that have images as well as caches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from cachexport.content.protocols import Ingester, Provider
    from cachexport.contract.spec import Spec
    from cachexport.oci.descriptor import Descriptor


@runtime_checkable
class ImageSource(Protocol):
    """A Source that can also give images."""

    @property
    def provider(self) -> Provider:
        """Where the blobs are. Readable until `close`."""

    def resolve(self) -> Descriptor:
        """Describe the manifest, or the index, that is named. Raises NotFound.

        It need not be one of images.
        """

    def close(self) -> None:
        """Free what the source holds; twice is fine."""


class ImageTarget(Protocol):
    """A name to give to an image or an index of images. `str()` gives the name."""

    @property
    def ingester(self) -> Ingester:
        """Where blobs go, and the manifests of an index. Usable until `close`."""

    @property
    def parallelism(self) -> int:
        """How many blobs at once are written best."""

    def check(self) -> None:
        """Raise AlreadyExists when the name stands for what an image must not replace."""

    def publish(self, root: Descriptor, raw: bytes, /) -> None:
        """Give the name to a manifest; all that it needs was ingested before."""

    def close(self) -> None:
        """Free what the target holds; twice is fine."""


@runtime_checkable
class ImageBackend(Protocol):
    """A Backend to which images can be written."""

    def image_target(self, spec: Spec, /) -> ImageTarget:
        """Read the attributes of an image's destination. Raises InvalidAttr. Writes nothing."""
