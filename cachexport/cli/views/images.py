"""Images of a store, and what is in one, as tables and as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Self

from cachexport.cli.console import in_line
from cachexport.cli.views.document import BlobView, Line, filled
from cachexport.cli.views.text import age, aligned, bold, counted, short
from cachexport.contract.units import readable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.images.image import ImageInspection, ImageLayer
    from cachexport.images.stored import StoredImage


_STORED = ("NAME", "DIGEST", "AGE", "SIZE", "PLATFORMS")
_STORED_RIGHT = {"AGE", "SIZE"}


def image_lines(found: Sequence[StoredImage], now: float, width: int | None) -> Iterator[str]:
    """Give a line for each name; `now` is in seconds since 1970."""
    yield from aligned([_STORED, *(_image_row(item, now) for item in found)], _STORED_RIGHT, width)


def _image_row(item: StoredImage, now: float) -> tuple[str, ...]:
    image = item.image
    return (
        in_line(image.name),
        short(image.target.digest),
        age(image.updated, now),
        readable(item.size),
        in_line(", ".join(_platforms(item))),
    )


def _platforms(item: StoredImage) -> list[str]:
    return [str(found.platform) for found in item.inspections]


_LAYERS = ("LAYER", "DIFF ID", "SIZE", "MADE BY")


def inspection_lines(
    found: Sequence[ImageInspection], name: str, width: int | None = None
) -> Iterator[str]:
    """Give for each image a summary, how it runs, and its layers with what made each."""
    for number, image in enumerate(found):
        if number:
            yield ""
        yield from _summary(image, name)
        if image.layers:
            yield ""
            rows = [_layer_row(*pair) for pair in zip(image.layers, _made_by(image), strict=True)]
            yield from aligned([_LAYERS, *rows], {"SIZE"}, width)


def _summary(image: ImageInspection, name: str) -> Iterator[str]:
    facts = {
        "name": name,
        "platform": str(image.platform),
        "manifest": image.manifest.digest,
        "config": image.config.digest,
        "created": image.created or "",
        "layers": f"{counted(len(image.layers), 'layer')}, {readable(image.size)} in all",
    }
    facts |= {key: _shown(value) for key, value in image.settings.items() if value}
    size = max(map(len, facts)) + 1
    for key, text in facts.items():
        if text:
            yield f"{bold(f'{in_line(key)}:'.ljust(size))} {in_line(text)}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _made_by(image: ImageInspection) -> list[str]:
    """Give what made each layer, as far as the history tells."""
    steps = [entry.created_by for entry in image.history if not entry.empty_layer]
    missing = len(image.layers) - len(steps)
    return [*steps, *[""] * missing][: len(image.layers)]


def _layer_row(layer: ImageLayer, made_by: str) -> tuple[str, ...]:
    desc = layer.descriptor
    return short(desc.digest), short(layer.diff_id or "-"), readable(desc.size), in_line(made_by)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument:
    """The images of a store; sizes in bytes, times in seconds since 1970."""

    images: tuple[StoredView, ...]

    @classmethod
    def of(cls, found: Sequence[StoredImage]) -> Self:
        """Give the document."""
        return filled(cls, found, images=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredView:
    """Of StoredDocument."""

    name: str
    digest: str
    media_type: str
    platforms: tuple[str, ...]
    size: int
    created: float
    updated: float
    labels: dict[str, str]

    @classmethod
    def of(cls, item: StoredImage) -> Self:
        """Give one image."""
        return filled(
            cls,
            item.image,
            digest=item.image.target.digest,
            media_type=item.image.target.media_type,
            platforms=_platforms(item),
            size=item.size,
            labels=dict(item.image.labels),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesDocument:
    """What is in images; sizes in bytes."""

    images: tuple[ImageView, ...]

    @classmethod
    def of(cls, found: Sequence[ImageInspection], name: str) -> Self:
        """Give the document of the images of one name, or of none."""
        return cls(images=tuple(ImageView.of(image, name) for image in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageView:
    """Of ImagesDocument."""

    name: Annotated[str | None, "null without one"]
    platform: str
    manifest: BlobView
    config: Annotated[BlobView, "{}"]
    size: int
    created: str | None
    settings: Annotated[
        dict[str, Any],
        Line("Entrypoint, Cmd, Env and so on, as the image's config has them"),
    ]
    layers: tuple[ImageLayerView, ...]
    history: tuple[StepView, ...]

    @classmethod
    def of(cls, image: ImageInspection, name: str) -> Self:
        """Give one image."""
        return filled(
            cls,
            image,
            name=name or None,
            platform=str(image.platform),
            settings=dict(image.settings),
            created=image.created,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLayerView:
    """Of ImageView."""

    digest: str
    diff_id: str | None
    media_type: str
    size: int

    @classmethod
    def of(cls, layer: ImageLayer) -> Self:
        """Give one layer."""
        return filled(cls, layer.descriptor, diff_id=layer.diff_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """Of ImageView: a step of the history."""

    created: str | None
    created_by: str
    comment: str
    empty_layer: bool
