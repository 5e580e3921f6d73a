"""Colours are told apart by people who see little contrast: WCAG 2.2, level AA."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

CSS = (files("cachexport.insight.report") / "style" / "colours.css").read_text()
LIGHT, DARK = (dict(re.findall(r"--([\w-]+): (#\w{6});", part)) for part in CSS.split("@media"))
GROUNDS = ("ground", "raised")
TEXT = [(text, ground) for text in ("text", "quiet", "accent", "good", "bad") for ground in GROUNDS]
TEXT += [(f"{kind}-text", kind) for kind in ("unique", "shared", "unused")]
TEXT += [("shared-text", "shared-stripe")]
SHAPES = [
    (shape, ground)
    for shape in ("unique-edge", "shared-edge", "unused-edge", "near", "bad", "focus", "accent")
    for ground in GROUNDS
]
SHAPES += [("focus", "unique"), ("focus", "shared"), ("accent", "unique"), ("near", "raised")]


def luminance(colour: str) -> float:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast(scheme: dict[str, str]) -> None:
    for pairs, least in ((TEXT, 4.5), (SHAPES, 3.0)):
        for one, other in pairs:
            found = contrast(scheme[one], scheme[other])
            assert found >= least, (one, other, round(found, 2))


def test_both_schemes_have_every_colour() -> None:
    assert LIGHT.keys() == DARK.keys()
    assert round(contrast("#000000", "#ffffff")) == 21
