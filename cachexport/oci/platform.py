"""Platforms as people write them: `linux/amd64`, `linux/arm/v7`, or `x86_64` for Linux."""

from __future__ import annotations

import re

from cachexport.errors import InvalidInputError
from cachexport.oci.descriptor import Platform

# What kernels and other tools call machines, and what images call them.
_SPELLINGS = {
    "aarch64": ("arm64", ""),
    "armel": ("arm", "v6"),
    "armhf": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv8l": ("arm", "v7"),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "loongarch64": ("loong64", ""),
    "x86-64": ("amd64", ""),
    "x86_64": ("amd64", ""),
}
_PART = re.compile(r"[a-z0-9][a-z0-9_.-]*", re.ASCII)
_SYSTEMS = frozenset({"darwin", "freebsd", "linux", "windows"})


def parse_platform(text: str) -> Platform:
    """Read `OS/ARCHITECTURE[/VARIANT]`, or an architecture alone, which is for Linux.

    Raises InvalidInputError.
    """
    parts = text.lower().split("/")
    if len(parts) == 1 and parts[0] not in _SYSTEMS:
        parts.insert(0, "linux")
    if len(parts) not in (2, 3) or not all(map(_PART.fullmatch, parts)):
        raise InvalidInputError(f"{text!r} is no platform; it is like linux/amd64 or linux/arm/v7")
    architecture, variant = _SPELLINGS.get(parts[1], (parts[1], ""))
    return Platform(os=parts[0], architecture=architecture, variant="".join(parts[2:]) or variant)
