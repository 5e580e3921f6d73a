"""The images of a store, as a table and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cachexport.cli.console import in_line
from cachexport.cli.views.columns import aligned
from cachexport.cli.views.listing import age
from cachexport.cli.views.names import short
from cachexport.contract.units import (
    readable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.images.stored import StoredImage

_HEADINGS = ("NAME", "DIGEST", "AGE", "SIZE", "PLATFORMS")
_RIGHT = {"AGE", "SIZE"}


def table_lines(found: Sequence[StoredImage], now: float, width: int | None) -> Iterator[str]:
    """Give a line for each name; `now` is in seconds since 1970."""
    yield from aligned([_HEADINGS, *(_row(item, now) for item in found)], _RIGHT, width)


def document_lines(found: Sequence[StoredImage]) -> Iterator[str]:
    """Give everything, as JSON."""
    yield json.dumps({"images": [_image(item) for item in found]}, indent=2)


def _row(item: StoredImage, now: float) -> tuple[str, ...]:
    image = item.image
    return (
        in_line(image.name),
        short(image.target.digest),
        age(image.updated, now),
        readable(item.size),
        in_line(", ".join(_platforms(item))),
    )


def _image(item: StoredImage) -> dict[str, Any]:
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
