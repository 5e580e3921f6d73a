"""Platforms as people and kernels write them."""

from __future__ import annotations

import pytest

from cachexport.errors import InvalidInputError
from cachexport.oci.platform import parse_platform


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("linux/amd64", "linux/amd64"),
        ("Linux/x86_64", "linux/amd64"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("linux/armhf", "linux/arm/v7"),
        ("windows/amd64", "windows/amd64"),
        ("arm64", "linux/arm64"),
        ("armv7l", "linux/arm/v7"),
        ("aarch64", "linux/arm64"),
    ],
)
def test_platforms_are_read_as_they_are_spelled(text: str, wanted: str) -> None:
    assert str(parse_platform(text)) == wanted


@pytest.mark.parametrize("text", ["", "linux", "linux/", "a/b/c/d", "linux/amd 64", "/amd64"])
def test_what_is_no_platform_is_an_error(text: str) -> None:
    with pytest.raises(InvalidInputError, match="is no platform; it is like linux/amd64"):
        parse_platform(text)
