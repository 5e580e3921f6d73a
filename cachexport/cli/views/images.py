"""Images of a store, and what is in one, as tables and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cachexport.cli.console import in_line
from cachexport.cli.views.text import age, aligned, bold, counted, short
from cachexport.contract.units import readable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.images.image import ImageInspection, ImageLayer
    from cachexport.images.stored import StoredImage
    from cachexport.oci.descriptor import Descriptor


_STORED = ("NAME", "DIGEST", "AGE", "SIZE", "PLATFORMS")
_STORED_RIGHT = {"AGE", "SIZE"}


def image_lines(found: Sequence[StoredImage], now: float, width: int | None) -> Iterator[str]:
    """Give a line for each name; `now` is in seconds since 1970."""
    yield from aligned([_STORED, *(_image_row(item, now) for item in found)], _STORED_RIGHT, width)


def image_document(found: Sequence[StoredImage]) -> Iterator[str]:
    """Give everything, as JSON."""
    yield json.dumps({"images": [_image_object(item) for item in found]}, indent=2)


def _image_row(item: StoredImage, now: float) -> tuple[str, ...]:
    image = item.image
    return (
        in_line(image.name),
        short(image.target.digest),
        age(image.updated, now),
        readable(item.size),
        in_line(", ".join(_platforms(item))),
    )


def _image_object(item: StoredImage) -> dict[str, Any]:
    image = item.image
    return {
        "name": image.name,
        "digest": image.target.digest,
        "media_type": image.target.media_type,
        "platforms": _platforms(item),
        "size": item.size,
        "created": image.created,
        "updated": image.updated,
        "labels": dict(image.labels),
    }


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


def inspection_document(found: Sequence[ImageInspection], name: str) -> Iterator[str]:
    """Give everything, as JSON."""
    yield json.dumps({"images": [_inspection_object(image, name) for image in found]}, indent=2)


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


def _inspection_object(image: ImageInspection, name: str) -> dict[str, Any]:
    return {
        "name": name or None,
        "platform": str(image.platform),
        "manifest": _named(image.manifest),
        "config": _named(image.config),
        "size": image.size,
        "created": image.created,
        "settings": image.settings,
        "layers": [_layer(layer) for layer in image.layers],
        "history": [
            {
                "created": None if entry.created is None else str(entry.created),
                "created_by": entry.created_by,
                "comment": entry.comment,
                "empty_layer": entry.empty_layer,
            }
            for entry in image.history
        ],
    }


def _named(desc: Descriptor) -> dict[str, Any]:
    return {"media_type": desc.media_type, "digest": desc.digest, "size": desc.size}


def _layer(layer: ImageLayer) -> dict[str, Any]:
    desc = layer.descriptor
    return {
        "digest": desc.digest,
        "diff_id": layer.diff_id,
        "media_type": desc.media_type,
        "size": desc.size,
    }
