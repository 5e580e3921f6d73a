"""What is stored beside a file, where files have nothing of the kind: in a second file.

Two files cannot be written at one moment, so the second says for which version of the first it is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def encoded(version: str, metadata: Mapping[str, str]) -> bytes:
    """Give the bytes of the second file."""
    return json.dumps({"metadata": dict(metadata), "version": version}).encode()


def decoded(raw: bytes, version: str) -> dict[str, str]:
    """Give the metadata in the second file; none if it is for another version, or is damaged."""
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    if not isinstance(found, dict) or found.get("version") != version:
        return {}
    metadata = found.get("metadata")
    return metadata if isinstance(metadata, dict) else {}
