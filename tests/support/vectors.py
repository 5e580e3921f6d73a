"""The recorded answers of a real BuildKit; see tests/wire/vectors/README.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cachexport import BlobSource, CacheChains, CacheLink, CacheResult, Descriptor, Digest, Remote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachexport.model.config import CacheConfig

FOLDER = Path(__file__).parent.parent / "wire" / "vectors"


def rows(name: str) -> list[dict[str, Any]]:
    with (FOLDER / f"{name}.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def descriptors(row: dict[str, Any]) -> dict[str, Descriptor]:
    return {
        digest: Descriptor(
            media_type=blob["mediaType"],
            digest=Digest.parse(digest),
            size=len(blob["content"].encode()),
            annotations=blob["annotations"],
        )
        for digest, blob in row["blobs"].items()
    }


def build(
    row: dict[str, Any], order: Sequence[int] | None = None, provider: Any = None
) -> CacheChains:
    """Make the recorded `add` calls, in the recorded order or another one that is possible."""
    blobs = descriptors(row)
    chains = CacheChains()
    records: dict[int, Any] = {}
    for number in range(len(row["ops"])) if order is None else order:
        op = row["ops"][number]
        deps = [
            [CacheLink(records[link["op"]], link.get("selector", "")) for link in links]
            for links in op.get("deps") or []
        ]
        results = [
            CacheResult(item["createdAt"], Remote([blobs[b] for b in item["blobs"]], provider))
            for item in op.get("results") or []
        ]
        records[number] = chains.add(op["digest"], deps, results)
    return chains


def needs(row: dict[str, Any]) -> list[set[int]]:
    """Give for each call the calls that have to come before it."""
    return [{link["op"] for links in op.get("deps") or [] for link in links} for op in row["ops"]]


def any_sources(config: CacheConfig, missing: Sequence[str] = ()) -> dict[Digest, BlobSource]:
    """Make up a descriptor for every blob of a config that is not missing."""
    blobs = {layer.blob for layer in config.layers if layer.blob} - set(missing)
    return {
        Digest.parse(blob): BlobSource(Descriptor(digest=Digest.parse(blob), size=1), None)
        for blob in blobs
    }
