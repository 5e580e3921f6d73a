"""Images in registries, archives and stores."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

from cachexport.content.progress import silent, step
from cachexport.contract.discovery import find_backend
from cachexport.contract.images import ImageBackend, ImageSource
from cachexport.contract.opening import (
    open_source,
)
from cachexport.contract.spec import Spec, parse_spec
from cachexport.errors import InvalidInputError, PluginError
from cachexport.images.store.leases import DAY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cachexport.content.progress import Progress
    from cachexport.content.protocols import Provider
    from cachexport.contract.images import ImageTarget
    from cachexport.images.pull import Puller
    from cachexport.images.store import Image, Store
    from cachexport.oci.descriptor import Descriptor, Platform
    from cachexport.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class OpenedImage:
    """An image, or an index of images, that can be read until `close` or the end of a block."""

    provider: Provider
    descriptor: Descriptor
    """Names the manifest or the index."""
    close: Callable[[], object]
    """Twice is fine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_image(image: str | Spec) -> OpenedImage:
    """Find an image without reading its layers; they are read when something needs them.

    `image` is a reference, such as `alpine:3.20`, or a specification, such as
    `type=local,src=image.tar`. `cachexport.images` has what looks into it: `select_image`,
    `read_config`. Raises NotFound when there is nothing of the name, PluginError for a type that
    has no images. The caller closes.
    """
    source = _image_source(parse_spec(image))
    try:
        return OpenedImage(source.provider, source.resolve(), source.close)
    except BaseException:
        source.close()
        raise


def image_puller(
    store: Store, attrs: Mapping[str, str] | None = None, *, progress: Progress = silent
) -> Puller:
    """Give what pulls images from registries into a store.

    `attrs` are those of `type=registry` that say how to reach it, such as `registry.insecure`.
    """
    from cachexport.images.pull import Puller

    return Puller(store, partial(_in_registry, attrs or {}), progress)


def pull_image(
    image: str | Spec,
    store: Store,
    *,
    name: str | None = None,
    platform: Platform | None = None,
    progress: Progress = silent,
) -> Image:
    """Copy an image into a store and name it there, by default as its reference does.

    That is the image for `platform`, or without one all that an index names. What the store has
    is not fetched again. Raises as `open_image` does, InvalidInputError for an image that is not
    in a registry and gets no name, FailedPrecondition for what is no image.
    """
    from cachexport.images.pull import pull_named

    spec = parse_spec(image)
    named = name or _own_name(spec)
    source = _image_source(spec)
    with (
        closing(source),
        store.leases.held(seconds=DAY) as lease,
        step(progress, f"pulling image {named}"),
    ):
        return pull_named(
            source, store, named, platform=platform, lease=lease.id, progress=progress
        )


def push_image(
    image: OpenedImage,
    to: str | Spec,
    *,
    platform: Platform | None = None,
    progress: Progress = silent,
) -> Descriptor:
    """Copy an image to a registry under the reference that `to` names; see `transfer.images.push`.

    `to` may be a specification with the attributes of `type=registry`, as for a build cache.
    """
    from cachexport.images import push

    with closing(open_image_target(to)) as target, step(progress, f"copying image to {target}"):
        return push.push_image(
            image.provider, image.descriptor, target, platform=platform, progress=progress
        )


def open_image_target(to: str | Spec) -> ImageTarget:
    """Give what an image can be pushed to; the caller closes. Raises PluginError without one."""
    spec = parse_spec(to)
    backend = find_backend(spec.type)
    if not isinstance(backend, ImageBackend):
        raise PluginError(f"type={spec.type} takes build caches, but no images")
    return backend.image_target(spec)


def _image_source(spec: Spec) -> ImageSource:
    source = open_source(spec)
    if not isinstance(source, ImageSource):
        source.close()
        raise PluginError(f"type={spec.type} has build caches, but no images")
    return source


def _in_registry(attrs: Mapping[str, str], reference: Reference) -> ImageSource:
    return _image_source(Spec("registry", {**attrs, "ref": str(reference)}))


def _own_name(spec: Spec) -> str:
    from cachexport.oci.reference import Reference

    if "ref" not in spec.attrs:
        raise InvalidInputError(f"{spec} has no reference; say what to name the image")
    return str(Reference.parse(spec.attrs["ref"]))
