"""What is in an image, told without its layers being read."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from cachexport.errors import WireFormat
from cachexport.images.config.config import read_diff_ids, read_platform
from cachexport.images.config.history import HistoryEntry, parse_history
from cachexport.images.select import images_of, read_config, read_image
from cachexport.oci import gojson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cachexport.content.protocols import Provider
    from cachexport.images.select import Image
    from cachexport.oci.descriptor import Descriptor, Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLayer:
    """A layer, and what the config says of it."""

    descriptor: Descriptor
    diff_id: str | None
    """None where the config has too few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInspection:
    """An image for one platform."""

    manifest: Descriptor
    config: Descriptor
    platform: Platform
    created: str | None
    settings: Mapping[str, Any]
    """How it runs: `Entrypoint`, `Env` and so on, as the config has them."""
    layers: tuple[ImageLayer, ...]
    history: tuple[HistoryEntry, ...]

    @property
    def size(self) -> int:
        """The bytes of its manifest, its config and its layers, each once."""
        blobs = (self.manifest, self.config, *(layer.descriptor for layer in self.layers))
        return sum({desc.digest: desc.size for desc in blobs}.values())


def inspect_images(provider: Provider, root: Descriptor) -> list[ImageInspection]:
    """Describe the image that `root` names, or those of an index that are there.

    Raises as `select_image` does, WireFormat for a config that is none.
    """
    found = images_of(provider, root)
    return [_inspect(provider, read_image(provider, desc)) for desc in found]


def _inspect(provider: Provider, image: Image) -> ImageInspection:
    raw = read_config(provider, image)
    config = gojson.fields(gojson.loads(raw), frozenset({"created", "config"}), "")
    layers = zip_longest(image.layers, read_diff_ids(raw)[: len(image.layers)])
    return ImageInspection(
        manifest=image.descriptor,
        config=image.config,
        platform=read_platform(raw),
        created=gojson.string(config.get("created"), "created") or None,
        settings=_object(config.get("config")),
        layers=tuple(ImageLayer(descriptor=desc, diff_id=diff_id) for desc, diff_id in layers),
        history=parse_history(raw) or (),
    )


def _object(value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise WireFormat("wants an object, has another value", "config")
    return value or {}
