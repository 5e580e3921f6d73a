"""Folders of blobs: one for each digest algorithm, with a file for each blob."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cachexport.content.files.errors import translated
from cachexport.errors import FailedPrecondition, InvalidDigest, NotFound
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def listed_digests(blobs: Path) -> Iterator[Digest]:
    """Give what is in a folder of blobs, leaving out files that are named otherwise."""
    for folder in listed(blobs):
        for name in listed(blobs / folder):
            try:
                yield Digest.parse(f"{folder}:{name}")
            except InvalidDigest:
                continue


def listed(folder: Path) -> list[str]:
    """Give the names in a folder, sorted; none where there is no folder."""
    try:
        with translated("read", folder):
            return sorted(os.listdir(folder))
    except (NotFound, FailedPrecondition):
        return []
